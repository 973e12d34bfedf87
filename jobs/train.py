"""``ray job submit --working-dir . -- python jobs/train.py [ARGUMENTS]``: detray train on the cluster."""

from _verb import run

run("train")

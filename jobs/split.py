"""``ray job submit --working-dir . -- python jobs/split.py [ARGUMENTS]``: detray split on the cluster."""

from _verb import run

run("split")

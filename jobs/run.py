"""``ray job submit --working-dir . -- python jobs/run.py [ARGUMENTS]``: detray run on the cluster."""

from _verb import run

run("run")

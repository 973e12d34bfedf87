"""``ray job submit --working-dir . -- python jobs/tune.py [ARGUMENTS]``: detray tune on the cluster."""

from _verb import run

run("tune")

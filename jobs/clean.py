"""``ray job submit --working-dir . -- python jobs/clean.py [ARGUMENTS]``: detray clean on the cluster."""

from _verb import run

run("clean")

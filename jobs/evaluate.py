"""``ray job submit --working-dir . -- python jobs/evaluate.py [ARGUMENTS]``: detray evaluate on the cluster."""

from _verb import run

run("evaluate")

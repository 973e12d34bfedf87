"""``ray job submit --working-dir . -- python jobs/folds.py [ARGUMENTS]``: detray folds on the cluster."""

from _verb import run

run("folds")

"""``ray job submit --working-dir . -- python jobs/predict.py [ARGUMENTS]``: detray predict on the cluster."""

from _verb import run

run("predict")

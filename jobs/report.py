"""``ray job submit --working-dir . -- python jobs/report.py [ARGUMENTS]``: detray report on the cluster."""

from _verb import run

run("report")

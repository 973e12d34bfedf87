"""``ray job submit --working-dir . -- python jobs/audit.py [ARGUMENTS]``: detray audit on the cluster."""

from _verb import run

run("audit")

"""``ray job submit --working-dir . -- python jobs/diagnose.py [ARGUMENTS]``: detray diagnose on the cluster."""

from _verb import run

run("diagnose")

"""``ray job submit --working-dir . -- python jobs/ingest.py [ARGUMENTS]``: detray ingest on the cluster."""

from _verb import run

run("ingest")

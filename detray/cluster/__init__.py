"""The only code that imports Ray: session, sharded maps, inference actors, tuning."""

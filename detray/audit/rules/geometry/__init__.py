"""Rules on single boxes."""

"""Rules on what the configured training makes of the data set."""

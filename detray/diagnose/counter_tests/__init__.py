"""Counter-tests: the remedy of a cause, tried, and the AP that comes of it."""

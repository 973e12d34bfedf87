"""One folder a group, one file a cause."""

"""Rules on ids, names and lists of classes."""

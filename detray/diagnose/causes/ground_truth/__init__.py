"""The annotations are wrong, or the class has none."""

"""Rules on pictures and lists of images."""

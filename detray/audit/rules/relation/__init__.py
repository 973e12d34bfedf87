"""Rules on boxes of one image beside each other."""

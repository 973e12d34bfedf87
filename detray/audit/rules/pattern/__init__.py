"""Rules on what many boxes have in common."""

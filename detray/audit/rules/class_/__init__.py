"""Rules on classes, against each other and between splits."""

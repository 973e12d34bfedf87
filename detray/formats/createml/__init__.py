"""CreateML JSON."""

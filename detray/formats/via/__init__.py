"""VIA JSON."""

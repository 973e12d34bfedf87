"""Detections were left out, or repeated, when they were written."""

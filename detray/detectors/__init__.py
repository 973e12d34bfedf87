"""Detectors behind one protocol, and the training of our own."""

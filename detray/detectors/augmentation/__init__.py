"""Augmentation of training pictures."""

"""Readers of annotation files: each turns a format into canonical tables."""

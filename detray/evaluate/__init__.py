"""Exact COCO metrics from one match table."""

"""YOLO label files, and the data file beside them."""

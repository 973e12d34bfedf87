"""Pascal VOC's XML, one file an image."""

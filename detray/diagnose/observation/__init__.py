"""What shards of images show: boxes and detections, what each sits on, and counts."""

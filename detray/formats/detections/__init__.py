"""Files of detections from other tools."""

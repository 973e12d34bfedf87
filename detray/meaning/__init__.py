"""What the class ids of a detector, or of a file of detections, mean in the data set."""

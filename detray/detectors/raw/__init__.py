"""From raw outputs, a box and scores for each anchor, to detections: for models that end before this."""

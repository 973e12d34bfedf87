"""TFRecords of the TF Object Detection API."""

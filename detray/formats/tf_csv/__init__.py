"""The CSV of the TensorFlow tutorials."""

"""What the model was trained on does not teach it the class."""

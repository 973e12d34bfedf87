"""What is suspected, handed to the tools that people look at boxes with, and what they decided there read back."""

"""Training a RetinaNet: its loop, and the settings that turn it."""

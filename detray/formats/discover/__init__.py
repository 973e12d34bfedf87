"""What lies in a folder that somebody points at: annotations of any known format, and the pictures they name."""

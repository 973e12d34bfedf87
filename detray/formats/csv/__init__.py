"""Tables of boxes in CSV."""

"""Image ids, class ids or box formats differ between the files."""

"""Open Images' CSV files."""

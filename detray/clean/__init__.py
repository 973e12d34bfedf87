"""A corrected data set written from findings and label errors."""

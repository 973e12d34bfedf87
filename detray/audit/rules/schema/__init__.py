"""Rules on how rows are written: fields, types, numbers."""

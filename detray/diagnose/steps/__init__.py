"""The steps of the diagnosis: what one task does."""

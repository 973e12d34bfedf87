"""The networks below the feature pyramid."""

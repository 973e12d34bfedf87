"""The search for faults between the files: image ids, class ids, box formats."""

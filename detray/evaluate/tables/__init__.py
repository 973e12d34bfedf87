"""The result tables, from the rows of all shards: about classes, then about images and the whole split."""

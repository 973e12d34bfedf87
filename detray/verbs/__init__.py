"""One verb a file: which shards, which plain function, which tables."""

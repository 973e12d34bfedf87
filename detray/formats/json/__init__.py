"""JSON files too large to parse whole: read by byte ranges."""

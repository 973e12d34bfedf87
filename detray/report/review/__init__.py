"""The review page: suspects, findings and misses as a gallery in which a person decides."""

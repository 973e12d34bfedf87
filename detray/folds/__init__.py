"""Label errors told by detectors that have not seen the pictures: trained and judged fold by fold."""

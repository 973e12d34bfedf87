"""What `benchmarks/label_errors.py` is made of."""

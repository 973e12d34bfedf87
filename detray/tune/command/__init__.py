"""The trainer ``command``: any training program, started as a process."""

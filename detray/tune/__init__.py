"""Search space, objective and proof of a win."""

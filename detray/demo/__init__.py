"""The built-in data set: drawn pictures with exact ground truth, known faults in a copy, and who found them."""

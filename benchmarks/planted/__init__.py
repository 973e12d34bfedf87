"""Faults planted in real trainings, or before the evaluation of a model that was trained on clean data."""

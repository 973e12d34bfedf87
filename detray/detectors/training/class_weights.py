"""Weights of the classes in the focal loss."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from detray.arrays import Floats32, Ints32

EFFECTIVE_BETA = 0.999


def class_weights(
    labels: Ints32,
    names: list[str],
    chosen: Literal["none", "inverse_frequency", "effective_number"] | Mapping[str, float],
) -> Floats32:
    """One weight a class, ``[c]``: 1 each, as given by name, or by how often ``labels`` hold it, mean 1.

    A class without boxes counts as having one. Source of the effective number: Cui et al., CVPR 2019.
    """
    if isinstance(chosen, Mapping):
        return np.array([chosen.get(name, 1.0) for name in names], np.float32)
    if chosen == "none":
        return np.ones(len(names), np.float32)
    counts = np.maximum(np.bincount(labels[labels >= 0], minlength=len(names)), 1)
    if chosen == "effective_number":
        counts = (1 - EFFECTIVE_BETA**counts) / (1 - EFFECTIVE_BETA)
    weights = 1 / counts
    return (weights / weights.mean()).astype(np.float32)

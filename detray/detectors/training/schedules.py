"""What changes from step to step: the learning rate, and which images come when."""

import math
from collections.abc import Mapping

import numpy as np

from detray.arrays import Floats, Ints
from detray.detectors.data import TrainingData
from detray.detectors.settings import TrainSettings

WARM_UP_STEPS = 50
"""Steps in which the learning rate rises to its peak, at most a fifth of all."""

DROPS = (0.6, 0.85)
"""Shares of the training after which the schedule ``step`` divides the rate by ten."""


def learning_rate(step: int, total: int, settings: TrainSettings) -> float:
    """The rate of step ``step`` (from 0) of ``total``: a linear warm-up, then the schedule."""
    warm_up = min(WARM_UP_STEPS, total // 5)
    if step < warm_up:
        return settings.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(total - warm_up, 1)
    if settings.schedule == "cosine":
        return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
    if settings.schedule == "step":
        return settings.learning_rate * 0.1 ** sum(done >= drop for drop in DROPS)
    return settings.learning_rate


def repeat_factors(data: TrainingData, names: list[str], oversample: Mapping[str, float]) -> Floats:
    """How often an epoch shows each image: the largest factor among its classes (``names`` by label), at least 1.

    Source: Gupta et al., LVIS, CVPR 2019, section 4.2 (there the factors come from frequencies).
    """
    factors = np.array([oversample.get(name, 1.0) for name in names] + [1.0])  # the last one for CROWD = -1
    result = np.ones(len(data))
    np.maximum.at(result, np.repeat(np.arange(len(data)), np.diff(data.offsets)), factors[data.labels])
    return result


def steps_per_epoch(factors: Floats, batch_size: int) -> int:
    """Batches of an epoch in which each image is shown as often as its factor says; the last may be smaller."""
    return math.ceil(factors.sum() / batch_size)


def epoch_order(factors: Floats, batch_size: int, seed: int, epoch: int) -> tuple[Ints, Ints]:
    """The images of an epoch, shuffled, cut into batches ``[steps, batch_size]``, and which showing each is, from 0.

    The part of a factor after the point is a chance. Where the last batch is not full, or chance
    gave too few, images of another shuffle fill it, so that every step has one shape.
    """
    random = np.random.default_rng([seed, epoch])
    times = np.floor(factors).astype(np.int64)
    times += random.random(len(factors)) < factors - times
    shown = random.permutation(np.repeat(np.arange(len(factors)), times))
    size = steps_per_epoch(factors, batch_size) * batch_size
    while len(shown) < size:
        shown = np.concatenate([shown, random.permutation(len(factors))])
    shown = shown[:size]
    return shown.reshape(-1, batch_size), _showing(shown).reshape(-1, batch_size)


def _showing(values: Ints) -> Ints:
    """For each place, how often its value stands before it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.searchsorted(ordered, ordered)
    result = np.empty_like(values)
    result[order] = np.arange(len(values)) - starts
    return result

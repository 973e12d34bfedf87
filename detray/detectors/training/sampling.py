"""Which images an epoch shows, how often and when."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Floats, Ints
from detray.detectors.settings import TrainSettings


class Labelled(Protocol):
    """Pictures with the labels of their boxes, as `TrainingData` has them."""

    @property
    def labels(self) -> NDArray[Any]: ...

    @property
    def offsets(self) -> Ints: ...

    def __len__(self) -> int: ...


def image_factors(data: Labelled, names: list[str], settings: TrainSettings) -> Floats:
    """How often an epoch shows each image, ``[n]``; ``names`` of the classes by label.

    The largest of the factors that its classes have in ``oversample`` and by ``repeat_factor``, at least 1; and of an
    image whose classes are all in ``undersample`` the largest share of these.
    Source: Gupta et al., LVIS, CVPR 2019, section 4.2.
    """
    repeated = np.maximum(_by_class(names, settings.oversample), _repeat_factors(data, len(names), settings))
    kept = np.ones(len(data))
    has_objects = np.diff(data.offsets) > 0
    kept[has_objects] = _largest(data, _by_class(names, settings.undersample), 0)[has_objects]
    return np.maximum(_largest(data, repeated, 1), 1) * kept


def _by_class(names: list[str], chosen: Mapping[str, float]) -> Floats:
    """By label, with 1 for what is not named, and last for `CROWD` = -1."""
    return np.array([chosen.get(name, 1.0) for name in names] + [1.0])


def _largest(data: Labelled, by_label: Floats, least: float) -> Floats:
    """The largest of the values that an image's labels have, at least ``least``, ``[n]``."""
    result = np.full(len(data), float(least))
    np.maximum.at(result, _image_of(data), by_label[data.labels])
    return result


def _image_of(data: Labelled) -> Ints:
    return np.repeat(np.arange(len(data)), np.diff(data.offsets))


def _repeat_factors(data: Labelled, n_classes: int, settings: TrainSettings) -> Floats:
    """LVIS's factors by label, from the share of the images that hold the class."""
    if settings.repeat_factor is None:
        return np.ones(n_classes + 1)
    pairs = np.unique(np.stack([_image_of(data), data.labels], axis=1), axis=0)
    count = np.bincount(pairs[pairs[:, 1] >= 0, 1], minlength=n_classes + 1)
    return np.maximum(1, np.sqrt(settings.repeat_factor * len(data) / np.maximum(count, 1)))


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

"""Which classes of two splits have boxes that look alike, whatever their ids and names say.

A class is known by the size, aspect and place of its boxes, how many stand in an image, in which share
of the images it stands, and beside which others. Where boxes of one split look like those of another
only under a mapping of the ids, the ids were mixed up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detray.audit.statistics import (
    Histogram,
    chance_of_distance,
    chance_of_preference,
    distance,
    effect_of_shares,
)
from detray.audit.summary import Summary

MEASURES = ("size", "aspect", "left", "top", "boxes_per_image")
MIN_IMAGES = 30
MAX_CHANCE = 0.001
MOST = 0.8  # of the classes
UNLIKE, ALIKE = 0.2, 0.15
TIE = 0.05
"""Mean distances from which boxes are of another class, and up to which they are of the same."""

MIN_CONFIDENCE = 0.99
SHIFTS = (1, -1, 2, -2)
MAX_CLASSES = 50
"""Classes that look strange up to which any mapping of theirs is tried; beyond, only shifts of all ids."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Remapped:
    """Classes of one split whose boxes look like those of other ids in another split, and how sure that is."""

    ids: Mapping[int, int]
    confidence: float


def remapped(data: Summary, split: str, other: str) -> Remapped | None:
    """The mapping under which a split's boxes look like the other's; None where they do as they are, or under none."""
    here, there = (_known(data, one) for one in (split, other))
    strange = [key for key in here if key not in there or _differs(data, split, other, key)]
    if len(strange) < 2:
        return None
    tried = [{key: key + shift for key in here if key + shift in there} for shift in SHIFTS]
    tried = [ids for ids in tried if len(ids) >= MOST * len(here) - 1] + [_assigned(data, split, other, strange, there)]
    for ids in tried:
        own = [distances(data, split, other, key, key).mean() for key in ids if key in there]
        looks = [distances(data, split, other, *pair).mean() for pair in ids.items()]
        if len(ids) < 2 or np.mean(looks) > ALIKE or (own and np.mean(looks) > np.mean(own) / 2):
            continue
        confidence = preference(data, split, other, ids, {key: key for key in ids})
        if confidence >= MIN_CONFIDENCE:
            return Remapped(ids, confidence)
    return None


def _assigned(data: Summary, split: str, other: str, strange: Sequence[int], there: Sequence[int]) -> dict[int, int]:
    """The best mapping of classes that look strange to each other's ids and to ids that the split has not."""
    from scipy.optimize import linear_sum_assignment

    free = sorted({key for key in there if key in strange or key not in data.classes[split]})
    if len(strange) > MAX_CLASSES or len(free) < len(strange):
        return {}
    gaps = np.array([[distances(data, split, other, one, two).mean() for two in free] for one in strange])
    pairs = [
        (strange[row], free[column], gaps[row, column])
        for row, column in zip(*linear_sum_assignment(gaps), strict=True)
    ]
    ids = {one: two for one, two, gap in pairs if one != two and gap <= ALIKE}
    return ids if len(ids) >= len(strange) / 2 else {}


def preference(data: Summary, split: str, other: str, mapping: Mapping[int, int], against: Mapping[int, int]) -> float:
    """The confidence that boxes look alike under one mapping of ids more than under another.

    One less the chance, by the sign test, that as many measures of as many classes would prefer it; where
    they differ by less than `TIE` they prefer neither.
    """
    better = worse = 0
    for key in mapping:
        if key not in against or mapping[key] == against[key]:
            continue
        mine, theirs = (
            np.append(distances(data, split, other, key, one[key]), _beside(data, split, other, key, one))
            for one in (mapping, against)
        )
        better += int((mine < theirs - TIE).sum())
        worse += int((mine > theirs + TIE).sum())
    return 1 - chance_of_preference(better, worse)


def distances(data: Summary, split: str, other: str, one: int, two: int) -> Floats:
    """How much the boxes of class ``one`` of a split differ from those of class ``two`` of another: 0 to 1 for each of
    `MEASURES`, and for the share of images."""
    found = [
        distance(a, b) if len(a[0]) and len(b[0]) else 1.0
        for measure in MEASURES
        for a, b in [(data.tallies[split].histogram(measure, one), data.tallies[other].histogram(measure, two))]
    ]
    shares = [data.images[name].get(key, 0) / max(data.n_images(name), 1) for name, key in ((split, one), (other, two))]
    return np.array([*found, effect_of_shares(*(min(share, 1.0) for share in shares)) / np.pi])


def _known(data: Summary, split: str) -> Sequence[int]:
    """The classes with images enough to be known by."""
    return [key for key in data.classes[split] if data.images[split].get(key, 0) >= MIN_IMAGES]


def _differs(data: Summary, split: str, other: str, key: int) -> bool:
    """Whether a class's boxes look unlike those under the same id, and by no chance."""
    gaps = distances(data, split, other, key, key)
    n, m = (data.images[name].get(key, 0) for name in (split, other))
    if gaps.mean() < UNLIKE or min(n, m) == 0:
        return bool(min(n, m) == 0)
    return len(MEASURES) * len(data.classes[split]) * chance_of_distance(float(gaps[:-1].max()), n, m) < MAX_CHANCE


def _beside(data: Summary, split: str, other: str, key: int, mapping: Mapping[int, int]) -> float:
    """How much the shares of a class's images that hold each other class differ, under a mapping."""
    here, there = _shares_beside(data, split, key), _shares_beside(data, other, mapping[key])
    moved = {mapping.get(one, one): share for one, share in here.items()}
    return sum(abs(moved.get(one, 0.0) - there.get(one, 0.0)) for one in moved.keys() | there.keys())


def _shares_beside(data: Summary, split: str, key: int) -> dict[int, float]:
    """Of the images with a class, the share that hold each other class."""
    tally, images = data.tallies[split], data.images[split]
    n = max(images.get(key, 0), 1)
    found: dict[int, float] = {}
    for one in images:
        pairs: Histogram = tally.histogram("companions", min(one, key))
        place = np.searchsorted(pairs[0], max(one, key))
        if one != key and place < len(pairs[0]) and pairs[0][place] == max(one, key):
            found[one] = float(pairs[1][place]) / n
    return found

"""Counts of a split by class, small enough to be merged over shards, and the bins that scores are counted in."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa

from detray.arrays import Floats, Ints
from detray.diagnose.criterion import SUITE, Criterion
from detray.evaluate.kernel.order import count, places

NIL_RECALL = Criterion(0.1, f"recall that chance overlaps alone can give in crowded scenes: {SUITE}")
WORKING_RECALL = Criterion(0.3, f"a class with this recall works for itself: {SUITE}")
MIN_HITS = Criterion(3, "boxes that another reading must newly hit: fewer are chance")
FEW_BOXES = Criterion(10, "boxes in the evaluated split: LVIS calls classes with at most 10 images rare (CVPR 2019)")

Counts = dict[Any, int]

COUNTS = pa.schema(
    [
        pa.field("count", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("key", pa.int64(), nullable=False),
        pa.field("second", pa.int64()),
        pa.field("n", pa.int64(), nullable=False),
    ]
)
"""`Counted` as a table: which count, its key (of two parts where it has them), and the number."""


class Counted:
    """Base of a dataclass of counts by key, which add up over shards in any order."""

    def add(self, other: Self) -> None:
        """Take the counts of ``other`` in."""
        for name, counts in vars(self).items():
            for key, n in getattr(other, name).items():
                counts[key] = counts.get(key, 0) + n

    def to_arrow(self) -> pa.Table:
        """As a table, `COUNTS`."""
        rows = [
            (name, *(key if isinstance(key, tuple) else (key, None)), n)
            for name, counts in vars(self).items()
            for key, n in counts.items()
        ]
        columns = zip(*rows, strict=True) if rows else [()] * len(COUNTS)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, COUNTS, strict=True)]
        return pa.Table.from_arrays(arrays, schema=COUNTS)

    @classmethod
    def sum(cls, parts: Iterable[pa.Table]) -> Self:
        """All counts of tables that `to_arrow` gave."""
        total = cls()
        for rows in parts:
            part = cls()
            for name, key, second, n in zip(*(rows[name].to_pylist() for name in COUNTS.names), strict=True):
                getattr(part, name)[key if second is None else (key, second)] = n
            total.add(part)
        return total


def combinations(*keys: Ints) -> tuple[list[Ints], Ints]:
    """The distinct combinations of ``keys``, each ``[n]``, rising, and how often each occurs."""
    values = [np.unique(key) for key in keys]
    code = np.zeros(len(keys[0]), np.int64)
    for key, known in zip(keys, values, strict=True):
        code = code * len(known) + places(known, key)
    codes, n = count(code)
    columns = np.unravel_index(codes, [max(len(known), 1) for known in values])
    return [known[place] for known, place in zip(values, columns, strict=True)], n


def count_keys(*keys: Ints) -> Counts:
    """How often each value, or combination of values, stands there."""
    found, n = combinations(*keys)
    named = [column.tolist() for column in found]
    return dict(zip(named[0] if len(keys) == 1 else zip(*named, strict=True), n.tolist(), strict=True))


@dataclass(frozen=True)
class ClassCounts(Counted):
    """Counts of a shard by class."""

    boxes: Counts = field(default_factory=dict)
    """Boxes, crowds left out."""
    crowds: Counts = field(default_factory=dict)
    detections: Counts = field(default_factory=dict)
    hits: Counts = field(default_factory=dict)
    """Boxes matched at IoU .5."""
    hit_sizes: Counts = field(default_factory=dict)
    """These by (class, `size_bin`)."""
    tight_hits: Counts = field(default_factory=dict)
    """Detections that are true at IoU .75."""
    flat_boxes: Counts = field(default_factory=dict)
    """Boxes without area."""
    small_boxes: Counts = field(default_factory=dict)
    """Boxes with area up to 32², those without area left out."""
    small_hits: Counts = field(default_factory=dict)
    """Those of them that are matched at IoU .5."""
    votes: Counts = field(default_factory=dict)
    """By (class, predicted class): boxes of weak classes whose highest-scoring
    detection, of those that overlap it by .5 and are not true elsewhere, is of the predicted class."""
    beyond: Counts = field(default_factory=dict)
    """Boxes that the cap on detections an image and class alone loses."""
    true_scores: Counts = field(default_factory=dict)
    """By (class, bin of `score_bin`): true detections."""
    false_scores: Counts = field(default_factory=dict)
    """The same: detections that are false at IoU .5, of whatever kind."""
    lowest_scores: Counts = field(default_factory=dict)
    """By class: bin of the lowest score of any detection."""
    image_detections: Counts = field(default_factory=dict)
    """By number of detections: images with so many."""
    doubts: Counts = field(default_factory=dict)
    """By `coarse_bin` of the detection that hits it and of the one of another class that covers it, -1 for none: boxes
    of all classes that are looked at and have either."""

    def add(self, other: Self) -> None:
        """Take the counts of ``other`` in; of the lowest scores the lower one stays."""
        lowest = {k: min(n, self.lowest_scores.get(k, n)) for k, n in other.lowest_scores.items()}
        super().add(other)
        self.lowest_scores.update(lowest)


SIZE_BINS = 96
"""Of `size_bin`: up to a side of 2^24 px."""


def size_bin(sides: Floats) -> Ints:
    """Widths and heights ``[n, 2]``, px, as bins ``[n]`` of the logarithm of the area, four as the side doubles."""
    number = np.floor(2 * np.log2(np.maximum(sides, 1.0)).sum(axis=1))
    return np.minimum(number, SIZE_BINS - 1).astype(np.int64)


_HALF, _ONE = 0x3F000000 >> 17, 0x3F800000 >> 17
"""The high bits of the float32 numbers .5 and 1."""


def score_bin(score: Floats) -> Ints:
    """Scores as integers that keep their order: up to .5 at most 1.6% apart; above it their distances
    from 1 are, so that the scores of a saturated model are told apart too."""
    score = np.maximum(score, 0.0)
    low, high = _high_bits(score), _high_bits(np.clip(1 - score, 0.0, 0.5))
    return np.select([score <= 0.5, score <= 1], [low, 2 * _HALF - high], 2 * _HALF - _ONE + low)


def coarse_bin(score: Floats) -> Ints:
    """Bins of scores four times as wide; -1 of NaN."""
    return np.where(np.isnan(score), -1, score_bin(np.nan_to_num(score)) >> 2)


def coarse_score(number: int) -> float:
    """A score in the middle of a coarse bin; NaN of none."""
    return float("nan") if number < 0 else bin_score((number << 2) + 2)


def bin_score(number: int) -> float:
    """The lowest score of a bin."""
    if number <= _HALF:
        return _float(number)
    return 1 - _float(2 * _HALF - number + 1) if number <= 2 * _HALF else _float(number - 2 * _HALF + _ONE)


def _high_bits(values: Floats) -> Ints:
    return (values.astype(np.float32).view(np.uint32) >> 17).astype(np.int64)


def _float(high_bits: int) -> float:
    return float(np.array([high_bits << 17], np.uint32).view(np.float32)[0])

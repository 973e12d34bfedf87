"""The detections and boxes of some classes as arrays, put together from any number of shards."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray import tables
from detray.arrays import Flags, Floats, Ints, Ints8, Words
from detray.evaluate.kernel.accumulate import TruePositives, true_positives
from detray.evaluate.kernel.order import places, ranked_order
from detray.evaluate.protocol import Protocol
from detray.evaluate.shard.errors import FALSE_DETECTIONS, REPAIRABLE
from detray.evaluate.shard.pascal import IGNORED


def class_ids(categories: pa.Table, *seen: pa.ChunkedArray) -> Ints:
    """The ids, rising, of the classes of the table ``categories`` and of further columns of ids."""
    found = [categories["category_id"].drop_null(), *seen]
    return np.unique(np.concatenate([column.to_numpy().astype(np.int64) for column in found]))


@dataclass(frozen=True)
class ClassRows:
    """Detections and repairs ``[m]`` as they are ranked, and boxes ``[n]``, of the classes ``ids`` ``[k]``.

    Ranked is by class, falling score, image and rank. A repair is a copy of a detection that takes
    no part until the error is mended that keeps it from being a true positive. ``category`` numbers
    classes by their place in ``ids``; words are as in `kernel.Matches`.
    """

    protocol: Protocol
    ids: Ints
    category: Ints
    start: Ints
    """``[k + 1]`` the first row of each class, and the end."""
    image: Ints
    score: Floats
    class_rank: Ints
    is_repair: Flags
    matched: tuple[Words, ...]
    """By area range; 0 for repairs."""
    counted: tuple[Words, ...]
    """By area range, levels at which the detection counts; 0 for repairs."""
    wrong: dict[str, Words]
    """By type of error, levels at which the detection is one."""
    repaired: dict[str, Words]
    """By type of error, levels at which a repair is a true positive once such errors are mended."""
    pascal: Ints8
    """As of `pascal.pascal_match`."""
    box_category: Ints
    box_image: Ints
    box_counts: tuple[Flags, ...]
    """By area range."""
    box_missed: Words
    box_difficult: Flags

    @staticmethod
    def of(ids: Ints, protocol: Protocol, detections: pa.Table, boxes: pa.Table, repairs: pa.Table) -> "ClassRows":
        """From the kept tables of `matches.ShardMatches`, whose rows are all of the classes ``ids``.

        ``ids`` rise. The order of the rows plays no part.
        """
        m, r = detections.num_rows, repairs.num_rows

        def both(name: str) -> NDArray:
            return np.concatenate([tables.numpy(part, name) for part in (detections, repairs)])

        category = places(ids, both("category_id"))
        score, image = both("score"), both("image_id")
        order = ranked_order(category, score, image, both("rank"))
        category = category[order]
        is_repair = order >= m

        def ranked(name: str, absent: int = 0) -> NDArray:
            values = tables.numpy(detections, name)
            return np.concatenate([values, np.full(r, absent, values.dtype)])[order]

        error = np.concatenate([np.full(m, -1), tables.numpy(repairs, "error")])[order]
        levels = np.concatenate([np.zeros(m, np.int16), tables.numpy(repairs, "levels")])[order]
        counts = tables.numpy(boxes, "counts")
        areas, every = protocol.areas, protocol.every
        return ClassRows(
            protocol,
            ids,
            category,
            np.searchsorted(category, np.arange(len(ids) + 1)),
            image[order],
            score[order],
            ranked("class_rank"),
            is_repair,
            tuple(ranked(f"matched_{area}") for area in areas),
            tuple(~ranked(f"ignored_{area}", int(every)) & every for area in areas),
            {name: ranked(name) for name in FALSE_DETECTIONS},
            {name: np.where(error == place, levels, np.int16(0)) for place, name in enumerate(REPAIRABLE)},
            ranked("pascal", IGNORED),
            places(ids, tables.numpy(boxes, "category_id")),
            tables.numpy(boxes, "image_id"),
            tuple(counts >> area & 1 != 0 for area in range(len(areas))),
            tables.numpy(boxes, "missed"),
            tables.numpy(boxes, "difficult"),
        )

    @cached_property
    def n_gt(self) -> Ints:
        """Boxes that count, ``[k, a]`` by area range."""
        return np.stack([self.per_class(self.box_category[counts]) for counts in self.box_counts], axis=1)

    def per_class(self, category: Ints) -> Ints:
        """How often each class occurs in ``category``, ``[k]``."""
        return np.bincount(category, minlength=len(self.ids))

    def per_class_and_level(self, category: Ints, words: Words) -> Ints:
        """How many of the words of each class have each bit set, ``[k, l]``."""
        levels = range(self.protocol.levels)
        return np.stack([self.per_class(category[words >> level & 1 != 0]) for level in levels], axis=1)

    def hits(self, hit: Words, counted: Words) -> TruePositives:
        """The true positives for words ``[m]`` as in `accumulate.true_positives`."""
        return true_positives(self.category, self.start, hit, counted, self.protocol.levels)

    @cached_property
    def tie_end(self) -> Ints:
        """``[m]`` the last row with the class and score of each."""
        last = np.ones(len(self.score), np.bool_)
        last[:-1] = (self.category[1:] != self.category[:-1]) | (self.score[1:] != self.score[:-1])
        ends = np.flatnonzero(last)
        return np.repeat(ends, np.diff(ends, prepend=-1))

    def per_class_of(self, rows: Flags) -> Ints:
        """How many detections of each class the mask ``rows`` ``[m]`` selects, ``[k]``."""
        return np.diff(np.searchsorted(np.flatnonzero(rows), self.start))

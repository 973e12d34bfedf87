"""The detections and boxes of some classes as arrays, put together from any number of shards."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray import tables
from detray.evaluate.accumulate import EVERY_LEVEL, LEVELS, Hits, Ranking, true_positives
from detray.evaluate.kernel import Flags, Floats, Ints, Words
from detray.schema import AREA_RANGES


def class_ids(categories: pa.Table, *seen: pa.ChunkedArray) -> Ints:
    """The ids, rising, of the classes of the table ``categories`` and of further columns of ids."""
    found = [categories["category_id"].drop_null(), *seen]
    return np.unique(np.concatenate([column.to_numpy().astype(np.int64) for column in found]))


@dataclass(frozen=True)
class ClassRows:
    """Detections ``[m]``, boxes ``[n]`` and repairs ``[r]`` of the classes ``ids`` ``[k]``.

    ``category`` and the like number classes by their place in ``ids``. The ranking is over the
    detections and, behind them in row order, the repairs: rows that take no part until an error is
    mended. Words are as in `kernel.Matches`.
    """

    ids: Ints
    category: Ints
    image: Ints
    score: Floats
    class_rank: Ints
    iou: Floats
    other_iou: Floats
    matched: Words
    ignored: Words
    pascal: NDArray[np.int8]
    box_category: Ints
    box_image: Ints
    box_counts: Flags
    """``[n, 4]`` by area range."""
    box_missed: Words
    box_difficult: Flags
    repair_error: Ints
    repair_levels: Words
    ranking: Ranking
    ranked_score: Floats
    """``[m + r]`` in the order of the ranking."""

    @staticmethod
    def of(ids: Ints, detections: pa.Table, boxes: pa.Table, repairs: pa.Table) -> "ClassRows":
        """From the scratch tables of `matching.ShardMatches`, whose rows are all of the classes ``ids``.

        ``ids`` rise. The order of the rows plays no part.
        """

        def column(table: pa.Table, name: str) -> NDArray:
            return tables.numpy(table, name)

        category = np.searchsorted(ids, column(detections, "category_id"))
        score = column(detections, "score")
        image = column(detections, "image_id")
        every_score = np.concatenate([score, column(repairs, "score")])
        ranking = Ranking.of(
            np.concatenate([category, np.searchsorted(ids, column(repairs, "category_id"))]),
            every_score,
            np.concatenate([image, column(repairs, "image_id")]),
            np.concatenate([column(detections, "rank"), column(repairs, "rank")]),
            len(ids),
        )
        areas = np.arange(len(AREA_RANGES))
        return ClassRows(
            ids,
            category,
            image,
            score,
            column(detections, "class_rank"),
            column(detections, "iou"),
            column(detections, "other_iou"),
            np.stack([column(detections, f"matched_{area}") for area in AREA_RANGES], axis=1),
            np.stack([column(detections, f"ignored_{area}") for area in AREA_RANGES], axis=1),
            column(detections, "pascal"),
            np.searchsorted(ids, column(boxes, "category_id")),
            column(boxes, "image_id"),
            (column(boxes, "counts")[:, None] >> areas & 1).astype(np.bool_),
            column(boxes, "missed"),
            column(boxes, "difficult"),
            column(repairs, "error"),
            column(repairs, "levels"),
            ranking,
            every_score[ranking.order],
        )

    @cached_property
    def n_gt(self) -> Ints:
        """Boxes that count, ``[k, 4]`` by area range."""
        return np.stack(
            [self.per_class(self.box_category[self.box_counts[:, area]]) for area in range(len(AREA_RANGES))], axis=1
        )

    def per_class(self, category: Ints) -> Ints:
        """How often each class occurs in ``category``, ``[k]``."""
        return np.bincount(category, minlength=len(self.ids))

    def per_class_and_level(self, category: Ints, words: NDArray[np.integer]) -> Ints:
        """How many of the words of each class have each bit set, ``[k, 10]``."""
        return np.stack([self.per_class(category[words >> level & 1 != 0]) for level in range(LEVELS)], axis=1)

    def counted(self, area: int) -> Words:
        """``[m]`` levels at which each detection counts in an area range."""
        return ~self.ignored[:, area] & EVERY_LEVEL

    def hits(self, hit: Words, counted: Words, repaired: Words | None = None) -> Hits:
        """True positives of ``hit`` and ``counted`` ``[m]``; ``repaired`` ``[r]`` are levels at which
        repairs are hits."""
        extra = np.zeros(len(self.repair_levels), np.int16) if repaired is None else repaired
        return true_positives(self.ranking, np.concatenate([hit, extra]), np.concatenate([counted, extra]))

    def hits_in(self, area: int) -> Hits:
        """The true positives of an area range, all as they are."""
        counted = self.counted(area)
        return self.hits(self.matched[:, area] & counted, counted)

    @cached_property
    def tie_ends(self) -> Ints:
        """Positions in the ranking that are the last with their class and score."""
        category, score = self.ranking.category, self.ranked_score
        last = np.ones(len(score), np.bool_)
        last[:-1] = (category[1:] != category[:-1]) | (score[1:] != score[:-1])
        return np.flatnonzero(last)

    def ranked(self, values: NDArray) -> NDArray:
        """``values`` ``[m]`` of the detections in the order of the ranking, repairs as 0."""
        padded = np.concatenate([values, np.zeros(len(self.repair_levels), values.dtype)])
        return padded[self.ranking.order]

"""Precision over recall from matches, as ``COCOeval.accumulate`` computes it, for many classes at once.

Precision can only rise at a true positive, and recall only changes there, so envelope and
interpolation need the true positives alone, and these are few. Of the other detections only their
number before each true positive counts.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from detray.arrays import Flags, Floats, Ints, Ints32, Words
from detray.boxes import IOU_THRESHOLDS, RECALL_POINTS
from detray.evaluate.kernel.order import ranked_order

Numbers = TypeVar("Numbers", Ints, Floats)

LEVELS = len(IOU_THRESHOLDS)


def every_level(levels: int = LEVELS) -> np.int16:
    """A word with the bit of every IoU threshold set, of which there are 15 at most."""
    return np.int16((1 << levels) - 1)


EVERY_LEVEL = every_level()
"""That of COCO's thresholds."""


@dataclass(frozen=True)
class TruePositives:
    """The true positives of a ranking at every IoU threshold, ``[h]`` each, by level, then as ranked.

    A segment is what belongs to one level and class: ``start[level * n_classes + category]`` is its
    first, ``start`` has shape ``[levels * n_classes + 1]``.
    """

    row: Ints
    """Which of the ranked detections each is."""
    nth: Ints32
    """Which true positive of its segment it is, from 1."""
    place: Ints32
    """Its place among the detections of its segment that count, from 1."""
    start: Ints
    counted: Ints
    """Detections that count, true or false, of each segment."""
    levels: int = LEVELS

    @property
    def count(self) -> Ints:
        """True positives of each class and level, ``[k, l]``."""
        return self.by_class(np.diff(self.start))

    def count_where(self, rows: Flags) -> Ints:
        """Those that the mask ``rows`` ``[h]`` selects, of each class and level, ``[k, l]``."""
        found = np.concatenate([[0], np.cumsum(rows)])
        return self.by_class(np.diff(found[self.start]))

    @cached_property
    def segment(self) -> Ints:
        """The segment of each."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    @cached_property
    def precision(self) -> Floats:
        """Precision at each, with the operations of pycocotools: ``tp / (fp + tp + spacing(1))``; ``[h]``."""
        return self.nth / (self.place + np.spacing(1))

    @cached_property
    def envelope(self) -> Floats:
        """The highest precision from each on in its segment, ``[h]``."""
        # complex numbers compare by real, then imaginary part: a maximum from the end on, segment by segment
        values = np.empty(len(self.nth), np.complex128)
        values.real, values.imag = -self.segment, self.precision
        return np.maximum.accumulate(values[::-1])[::-1].imag

    def by_class(self, values: Numbers) -> Numbers:
        """Values of segments as ``[k, l]``; contiguous, so that sums over levels do not depend on k."""
        return np.ascontiguousarray(values.reshape(self.levels, -1).T)


def true_positives(category: Ints, start: Ints, hit: Words, counted: Words, levels: int = LEVELS) -> TruePositives:
    """The true positives of ranked detections ``[m]``, and their places.

    Args:
        category: ``[m]`` the classes ``0 <= category < k``, rising.
        start: ``[k + 1]`` the first detection of each class, and the end.
        hit: ``[m]`` levels at which a detection is a true positive.
        counted: ``[m]`` levels at which it counts at all, be it true or false.
        levels: how many there are.
    """
    # all that count at every level and never hit are only numbers before the others
    always = (counted == every_level(levels)) & (hit == 0)
    rows = np.flatnonzero((counted != 0) & ~always)
    before = np.zeros(len(category) + 1, np.int32)
    np.cumsum(always, out=before[1:])
    first = np.searchsorted(rows, start)  # of each class among rows
    every = before[start]
    base = before[rows] - np.repeat(every[:-1], np.diff(first))
    hit, counted = hit[rows], counted[rows]

    parts = []
    tally = np.zeros(len(rows) + 1, np.int32)
    for level in range(levels):
        bit = np.int16(1 << level)
        true = np.flatnonzero(hit & bit != 0)
        np.cumsum(counted & bit != 0, out=tally[1:])
        begin, ends = np.searchsorted(true, first), tally[first]
        n = np.diff(begin)
        nth = np.arange(1, len(true) + 1, dtype=np.int32) - np.repeat(begin[:-1].astype(np.int32), n)
        place = base[true] + tally[1:][true] - np.repeat(ends[:-1], n)
        parts.append((true, n, nth, place, np.diff(every) + np.diff(ends)))
    true, n, nth, place, total = (np.concatenate(column) for column in zip(*parts, strict=True))
    begin = np.concatenate([[0], np.cumsum(n)])
    return TruePositives(rows[true], nth, place, begin, total, levels)


def needed_hits(n_gt: Ints, recall: Floats = RECALL_POINTS) -> Ints:
    """How many true positives, at least 1, reach each recall: the least k with ``k / n_gt >= recall``.

    ``n_gt`` of any shape ``[...]`` gives ``[..., len(recall)]``.
    """
    n = np.maximum(n_gt, 1)[..., None]
    k = np.maximum(np.ceil(n * recall).astype(np.int64) - 1, 1)
    for _ in range(2):  # the product is rounded: the comparison, as pycocotools makes it, decides
        k += k / n < recall
    return k


def reached(hits: TruePositives, n_gt: Ints, recall: Floats = RECALL_POINTS) -> Ints:
    """Which of ``hits`` reaches each recall point, ``[k, l, len(recall)]``; -1: none does.

    ``n_gt`` ``[k, 1]`` or ``[k, l]`` counts the boxes of each class.
    """
    n, which = np.unique(n_gt, return_inverse=True)
    needed = needed_hits(n, recall)[which.reshape(n_gt.shape)]
    index = hits.by_class(hits.start[:-1])[:, :, None] + (needed - 1)
    index[needed > hits.count[:, :, None]] = -1
    return index


def precision_at_recall(hits: TruePositives, n_gt: Ints, recall: Floats = RECALL_POINTS) -> Floats:
    """Envelope precision at recall points, ``[k, l, len(recall)]``; NaN where a class has no boxes.

    ``n_gt`` as in `reached`.
    """
    result: Floats = np.append(hits.envelope, 0.0)[reached(hits, n_gt, recall)]
    result[np.broadcast_to(n_gt == 0, result.shape[:2])] = np.nan
    return result


def area_under_envelope(hits: TruePositives, n_gt: Ints) -> Floats:
    """The area under the envelope of precision over recall, as Pascal VOC takes it from 2010 on: ``[k, l]``.

    It is the mean over boxes of the best precision from each on, 0 for boxes that are not found; NaN
    without boxes. ``n_gt`` as in `reached`.
    """
    total = hits.by_class(np.bincount(hits.segment, hits.envelope, len(hits.start) - 1))
    result: Floats = total / np.where(n_gt > 0, n_gt, np.nan)
    return result


def average_precision(score: Floats, image: Ints, rank: Ints, matched: Words, ignored: Words, n_gt: int) -> Floats:
    """AP at each IoU threshold, ``[10]``, of the kept detections ``[m]`` of one class.

    ``matched`` and ``ignored`` hold a bit for each threshold. NaN where ``n_gt`` is 0.
    """
    category = np.zeros(len(score), np.int64)
    order = ranked_order(category, score, image, rank)
    counted = ~ignored[order] & EVERY_LEVEL
    hits = true_positives(category, np.array([0, len(score)]), matched[order] & counted, counted)
    return precision_at_recall(hits, np.array([[n_gt]]))[0].mean(axis=1)

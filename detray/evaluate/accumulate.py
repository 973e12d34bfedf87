"""Precision over recall from matches, as ``COCOeval.accumulate`` computes it, for many classes at once.

Precision can only rise at a true positive, and recall only changes there, so envelope and
interpolation need the true positives alone, and these are few. Of the other detections only their
number before each true positive counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detray.boxes import IOU_THRESHOLDS, RECALL_POINTS
from detray.evaluate.order import falling, stable_argsort

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Words = NDArray[np.int16]

LEVELS = len(IOU_THRESHOLDS)
EVERY_LEVEL = np.int16((1 << LEVELS) - 1)
"""A word with the bit of every IoU threshold set."""


@dataclass(frozen=True)
class Ranking:
    """Detections of several classes in the order in which they are accumulated."""

    order: Ints
    """``[m]`` rows by class, falling score, image and rank."""
    category: Ints
    """``[m]`` the class of each, in that order, from 0."""
    start: Ints
    """``[k + 1]`` where each class starts, and the end."""

    @staticmethod
    def of(category: Ints, score: Floats, image: Ints, rank: Ints, n_classes: int) -> "Ranking":
        """The ranking of detections ``[m]`` whose classes are ``0 <= category < n_classes``."""
        order = np.arange(len(score))
        if len(order) and not _rising(image, rank):
            order = stable_argsort(rank)
            order = order[stable_argsort(image[order])]
        order = order[falling(score[order])]
        order = order[stable_argsort(category[order])]
        ordered = category[order]
        return Ranking(order, ordered, np.searchsorted(ordered, np.arange(n_classes + 1)))


def _rising(image: Ints, rank: Ints) -> bool:
    """Whether the rows already stand by image, then rank."""
    later = image[1:] > image[:-1]
    return bool((later | ((image[1:] == image[:-1]) & (rank[1:] >= rank[:-1]))).all())


@dataclass(frozen=True)
class Hits:
    """The true positives of a ranking at every IoU threshold, ``[h]`` each, by level, then as ranked.

    A segment is what belongs to one level and class: ``start[level * n_classes + category]`` is its
    first, ``start`` has shape ``[levels * n_classes + 1]``.
    """

    segment: Ints
    position: Ints
    """Where each stands in the ranking."""
    nth: Ints
    """Which true positive of its segment it is, from 1."""
    place: Ints
    """Its place among the detections of its segment that count, from 1."""
    start: Ints

    @property
    def count(self) -> Ints:
        """True positives of each class and level, ``[k, 10]``."""
        return _by_class(np.diff(self.start))

    def count_where(self, rows: NDArray[np.bool_]) -> Ints:
        """Those that the mask ``rows`` ``[h]`` selects, of each class and level, ``[k, 10]``."""
        return _by_class(np.bincount(self.segment[rows], minlength=len(self.start) - 1))

    def envelope(self) -> Floats:
        """Precision at each, raised to the highest that follows in its segment; ``[h]``."""
        # the operations of pycocotools: tp / (fp + tp + spacing(1))
        precision = self.nth / (self.place + np.spacing(1))
        # ranks of the precisions can be lifted by segment without rounding, precisions cannot
        n = len(precision)
        order = np.argsort(precision)
        rank = np.empty(n, np.int64)
        rank[order] = np.arange(n)
        lift = (len(self.start) - self.segment) * n
        best = np.maximum.accumulate((rank + lift)[::-1])[::-1] - lift
        return precision[order[best]]


def _by_class(values: Ints) -> Ints:
    """Values of segments as ``[k, 10]``; contiguous, so that sums over levels do not depend on k."""
    return np.ascontiguousarray(values.reshape(LEVELS, -1).T)


def true_positives(ranking: Ranking, hit: Words, counted: Words) -> Hits:
    """The true positives and their places.

    ``hit`` and ``counted`` ``[m]`` hold a bit for each IoU threshold: the detection is a true
    positive there; it counts at all, be it true or false. They are in the order of the rows that
    were ranked.
    """
    hit, counted = hit[ranking.order], counted[ranking.order]
    n_classes = len(ranking.start) - 1
    # all that count at every level and never hit are only numbers before the others
    always = (counted == EVERY_LEVEL) & (hit == 0)
    before = np.concatenate([[0], np.cumsum(always)])
    rows = np.flatnonzero(~always & (counted != 0))
    category = ranking.category[rows]
    first = np.searchsorted(rows, ranking.start[:-1])  # of each class among rows
    base = before[rows] - before[ranking.start[category]]

    levels = np.arange(LEVELS, dtype=np.int16)[:, None]
    tally = np.zeros((LEVELS, len(rows) + 1), np.int64)
    np.cumsum(counted[rows] >> levels & 1, axis=1, out=tally[:, 1:])
    level, row = np.nonzero(hit[rows] >> levels & 1)
    segment = level * n_classes + category[row]
    start = np.searchsorted(segment, np.arange(LEVELS * n_classes + 1))
    return Hits(
        segment,
        rows[row],
        np.arange(len(row)) - start[segment] + 1,
        base[row] + tally[level, row + 1] - tally[level, first[category[row]]],
        start,
    )


def needed_hits(n_gt: Ints, recall: Floats = RECALL_POINTS) -> Ints:
    """How many true positives, at least 1, reach each recall: the least k with ``k / n_gt >= recall``.

    ``n_gt`` of any shape ``[...]`` gives ``[..., len(recall)]``.
    """
    n = np.maximum(n_gt, 1)[..., None]
    k = np.maximum(np.ceil(n * recall).astype(np.int64) - 1, 1)
    for _ in range(2):  # the product is rounded: the comparison, as pycocotools makes it, decides
        k += k / n < recall
    return k


def reached(hits: Hits, n_gt: Ints, recall: Floats = RECALL_POINTS) -> Ints:
    """Which of ``hits`` reaches each recall point, ``[k, 10, len(recall)]``; -1: none does.

    ``n_gt`` ``[k, 1]`` or ``[k, 10]`` counts the boxes of each class.
    """
    needed = needed_hits(n_gt, recall)
    index = _by_class(hits.start[:-1])[:, :, None] + needed - 1
    return np.where(needed <= hits.count[:, :, None], index, -1)


def precision_at_recall(hits: Hits, n_gt: Ints, recall: Floats = RECALL_POINTS) -> Floats:
    """Envelope precision at recall points, ``[k, 10, len(recall)]``; NaN where a class has no boxes.

    ``n_gt`` as in `reached`.
    """
    envelope = np.append(hits.envelope(), 0.0)  # -1, a recall that is not reached, finds the zero
    result = envelope[reached(hits, n_gt, recall)]
    result[np.broadcast_to(n_gt == 0, result.shape[:2])] = np.nan
    return result


def average_precision(score: Floats, image: Ints, rank: Ints, matched: Words, ignored: Words, n_gt: int) -> Floats:
    """AP at each IoU threshold, ``[10]``, of the kept detections ``[m]`` of one class.

    ``matched`` and ``ignored`` hold a bit for each threshold. NaN where ``n_gt`` is 0.
    """
    ranking = Ranking.of(np.zeros(len(score), np.int64), score, image, rank, 1)
    counted = ~ignored & EVERY_LEVEL
    hits = true_positives(ranking, matched & counted, counted)
    return precision_at_recall(hits, np.array([[n_gt]]))[0].mean(axis=1)

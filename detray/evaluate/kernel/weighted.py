"""Average precision of many classes where each image counts several times, in many resamples at once.

As in `accumulate` only the true positives matter, and of the other detections their weight before each.
Arrays have a row for each detection and a column for each resample. NumPy's running sums and maxima
go down one column after the other; so rankings are cut into blocks of `BLOCK` rows. All first rows of
blocks lie together, then all second ones and so on: within blocks sums and maxima run in a few steps
over long stretches of memory, and only from block to block as NumPy does it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Bytes, Flags, Floats, Ints, Ints32, Words
from detray.boxes import RECALL_POINTS
from detray.evaluate.kernel.accumulate import TruePositives, every_level, needed_hits
from detray.evaluate.kernel.order import places, stable_argsort

BLOCK = 8
"""Rows whose weights add up to what a byte holds: no weight is over 31."""
SHEET_ROWS = 2048
"""Rows worked on at once: with all resamples of a step they stay in the processor's cache."""


@dataclass(frozen=True)
class _Sums:
    """Sums of weights in rankings, each from the first row to one that is wanted."""

    sheets: list[tuple[Ints, Ints]]
    """Rankings of like length side by side: the image of each row ``[8, s, l]`` of ``l`` blocks, padded
    with -1, which has no weight; and which rows of the flattened sheet are wanted."""
    number: Ints
    """``[n]`` which of the sums is that of each row, from 1; 0: it is not wanted."""

    @staticmethod
    def of(image: Ints, start: Ints, wanted: Flags) -> "_Sums":
        """For rows of ``image`` ``[n]`` in rankings that begin at ``start``; ``wanted`` ``[n]``."""
        image, wanted = np.append(image, -1), np.append(wanted, False)
        number, done, found = np.zeros(len(image), np.int64), 1, []
        for _, row in _sheets(start):
            position = np.flatnonzero(wanted[row])
            number[row.ravel()[position]] = np.arange(done, done + len(position))
            done += len(position)
            found.append((image[row], position))
        return _Sums(found, number[:-1])

    def of_weights(self, weight: Bytes) -> Floats:
        """The sums ``[1 + w, b]`` for weights of images; the first one is 0."""
        result, done = np.zeros((1 + sum(len(position) for _, position in self.sheets), weight.shape[1])), 1
        for image, position in self.sheets:
            within, before = (part.reshape(-1, weight.shape[1]) for part in _running(weight, image))
            out = result[done : done + len(position)]
            np.add(before.take(position % len(before), axis=0), within.take(position, axis=0), out=out)
            done += len(position)
        return result


@dataclass(frozen=True)
class _Curves:
    """The true positives of classes and levels with about equally many, side by side."""

    segment: Ints
    """``[s]`` as in `TruePositives`."""
    image: Ints
    """``[8, s, l]``, padded with -1."""
    counted: Ints
    """``[8, s, l]`` which sum of all that counts ends with each, the first one for padding."""
    lost: Ints | None
    """``[8, s, l]`` which sum of what does not count at the level ends before each, 0: none."""


@dataclass(frozen=True)
class WeightedRanking:
    """The detections of classes in an area range, in the order of their ranking, ready to be weighted.

    What takes no part at any level is left out. What counts at some levels alone is *lost* at the others.
    """

    n_classes: int
    levels: int
    counted: _Sums
    lost: _Sums
    curves: list[_Curves]

    @staticmethod
    def of(hits: TruePositives, image: Ints, start: Ints, counted: Words) -> "WeightedRanking":
        """From ranked detections ``[m]``.

        Args:
            hits: their true positives.
            image: ``[m]`` the row of each one's image among the weights.
            start: ``[k + 1]`` the first of each class, and the end.
            counted: ``[m]`` levels at which each counts.
        """
        n_classes, levels = len(start) - 1, hits.levels
        rows = np.flatnonzero(counted)
        place, is_hit = np.empty(len(image), np.int64), np.zeros(len(image), np.bool_)
        place[rows], is_hit[hits.row] = np.arange(len(rows)), True
        sums = _Sums.of(image[rows], np.searchsorted(rows, start), is_hit[rows])

        partial = rows[counted[rows] != every_level(levels)]
        missing = [partial[counted[partial] >> level & 1 == 0] for level in range(levels)]
        row = np.concatenate(missing)
        level = np.repeat(np.arange(levels), [len(part) for part in missing])
        segment = level * n_classes + np.searchsorted(start, row, side="right") - 1
        begin = np.searchsorted(segment, np.arange(levels * n_classes + 1))
        lost = _Sums.of(image[row], begin, np.ones(len(row), np.bool_))
        before = np.searchsorted(level * len(image) + row, hits.segment // n_classes * len(image) + hits.row)
        before = np.where(before > begin[hits.segment], np.append(0, lost.number)[before], 0)

        hit_image, ends = np.append(image[hits.row], -1), np.append(sums.number[place[hits.row]], 0)
        before = np.append(before, 0)
        curves = []
        for which, shown in _sheets(hits.start):
            missed = before[shown]
            curves.append(_Curves(which, hit_image[shown], ends[shown], missed if missed.any() else None))
        return WeightedRanking(n_classes, levels, sums, lost, curves)

    def average_precision(self, weight: Bytes, points: "RecallPoints | None", n_gt: Ints) -> tuple[Floats, Ints]:
        """AP and the number of true positives at each level, ``[l, k, b]`` each.

        Args:
            weight: ``[images + 1, b]`` how often each image counts in each resample; the last row is 0.
            points: of the boxes of each class and resample, ``[k, b]``; None: AP is the area under the envelope.
            n_gt: the boxes of each class and resample, ``[k, b]``.
        """
        columns = weight.shape[1]
        counted, lost = (part.of_weights(weight) for part in (self.counted, self.lost))
        counted[0] = np.inf  # padding has no precision
        ap = np.zeros((self.levels * self.n_classes, columns))
        found = np.zeros((self.levels * self.n_classes, columns), np.int64)
        for curves in self.curves:
            within, before = _running(weight, curves.image)
            found[curves.segment] = before[:, -1] + within[-1, :, -1]
            precision = before.astype(np.float64) + within
            place = counted.take(curves.counted, axis=0)
            if curves.lost is not None:
                place -= lost.take(curves.lost, axis=0)
            place += np.spacing(1)  # as pycocotools, for the sake of 0 / 0
            precision /= place
            _envelope(precision)
            reached: NDArray[np.integer]
            if points is None:
                reached = before + within
            else:
                reached = points.table.take(before + points.start[curves.segment % self.n_classes, None] + within)
            gained = np.empty_like(reached)
            np.subtract(reached[1:], reached[:-1], out=gained[1:])
            gained[0, :, 0] = reached[0, :, 0]
            np.subtract(reached[0, :, 1:], reached[-1, :, :-1], out=gained[0, :, 1:])
            precision *= gained
            ap[curves.segment] = precision.sum(axis=0).sum(axis=1)
        by_level = ap.reshape(self.levels, -1, columns)
        by_level /= len(RECALL_POINTS) if points is not None else np.maximum(n_gt, 1)
        return by_level, found.reshape(self.levels, -1, columns)


@dataclass(frozen=True)
class RecallPoints:
    """How many of COCO's recall points so many true positives reach, for many numbers of boxes."""

    table: Bytes
    """For each number n in use the points that 0, 1, ... n true positives reach; none reach none."""
    start: Ints
    """Where the entries of each number of boxes begin; of any shape."""

    @staticmethod
    def of(boxes: Ints) -> "RecallPoints":
        """For the numbers ``boxes``, of any shape."""
        used = np.zeros(int(boxes.max(initial=0)) + 1, np.bool_)
        used[boxes] = True
        n = np.flatnonzero(used)
        edges = np.concatenate([np.zeros((len(n), 1), np.int64), needed_hits(n), n[:, None] + 1], axis=1)
        points = np.arange(edges.shape[1] - 1, dtype=np.uint8)
        table = np.repeat(np.tile(points, len(n)), np.diff(edges, axis=1).ravel())
        return RecallPoints(table, (np.cumsum(n + 1) - (n + 1))[places(n, boxes.ravel())].reshape(boxes.shape))

    def __getitem__(self, place: int) -> "RecallPoints":
        return RecallPoints(self.table, self.start[place])


@dataclass(frozen=True)
class WeightedCount:
    """Rows to be counted by class."""

    image: Ints
    """``[n]`` the row of each one's image among the weights."""
    start: Ints
    """``[k + 1]`` the first of each class, and the end."""
    times: Bytes
    """``[n]`` how often each counts, at most 10."""

    @staticmethod
    def of(category: Ints, image: Ints, times: Bytes, n_classes: int) -> "WeightedCount":
        """Of rows ``[n]`` in any order."""
        order = stable_argsort(category)
        start = np.searchsorted(category[order], np.arange(n_classes + 1))
        return WeightedCount(image[order], start, times[order])

    def total(self, weight: Bytes) -> Ints:
        """The counts of each class in each resample, ``[k, b]``."""
        result = np.zeros((len(self.start) - 1, weight.shape[1]), np.int64)
        some = np.flatnonzero(np.diff(self.start))
        if len(some):
            rows = weight.take(self.image, axis=0) * self.times[:, None]
            result[some] = np.add.reduceat(rows, self.start[some], axis=0, dtype=np.int64)
        return result


def _sheets(start: Ints) -> Iterator[tuple[Ints, Ints]]:
    """The segments that begin at ``start`` ``[s + 1]``, longest first, some at a time: which they are,
    and their rows ``[8, s, l]``, padded with -1 to whole blocks."""
    length = np.diff(start)
    order = stable_argsort(-length)
    order = order[: np.count_nonzero(length)]
    low = 0
    while low < len(order):
        blocks = -(-int(length[order[low]]) // BLOCK)
        chosen = order[low : low + max(SHEET_ROWS // (BLOCK * blocks), 1)]
        place = np.arange(BLOCK)[:, None, None] + np.arange(0, BLOCK * blocks, BLOCK)
        yield chosen, np.where(place < length[chosen, None], start[chosen, None] + place, -1)
        low += len(chosen)


def _running(weight: Bytes, image: Ints) -> tuple[Bytes, Ints32]:
    """The running sums of the weights of rows ``[8, s, l]``: within blocks ``[8, s, l, b]``, and before
    each block ``[s, l, b]``."""
    within = weight.take(image, axis=0)
    for row in range(1, BLOCK):
        within[row] += within[row - 1]
    before = np.cumsum(within[-1], axis=1, dtype=np.int32)
    before -= within[-1]
    return within, before


def _envelope(precision: Floats) -> None:
    """Raise each precision ``[8, s, l, b]`` to the highest from there on."""
    for row in range(BLOCK - 2, -1, -1):
        np.maximum(precision[row], precision[row + 1], out=precision[row])
    later = np.zeros_like(precision[0])
    later[:, :-1] = precision[0, :, 1:]
    step = 1
    while step < later.shape[1]:  # the highest of the next one, two, four blocks ...
        np.maximum(later[:, :-step], later[:, step:], out=later[:, :-step])
        step *= 2
    np.maximum(precision, later, out=precision)

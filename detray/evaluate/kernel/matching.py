"""COCO's matching and average precision, exactly as pycocotools computes them, without its loops.

The semantics are those of ``COCOeval.evaluateImg`` and ``COCOeval.accumulate`` (pycocotools 2.0),
bit for bit: stable order by falling score, greedy choice of the box with the highest IoU (the later
one on a tie), boxes that count before ignored ones, crowd regions that take any number of
detections.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats, Ints, Ints32, Words
from detray.boxes import AREA_LIMITS, IOU_THRESHOLDS
from detray.evaluate.kernel.accumulate import average_precision, every_level
from detray.evaluate.kernel.assignment import assign
from detray.evaluate.kernel.order import pair_codes, ranked_order, stable_argsort
from detray.evaluate.kernel.overlaps import Overlaps, overlapping

LIMITS = np.array(list(AREA_LIMITS.values()))
"""Least and greatest area of each of COCO's area ranges, ``[4, 2]`` in px²."""


@dataclass(frozen=True)
class GroundTruth:
    """Ground truth boxes of any images and classes, in any order; among the boxes of one image and
    class the order is that of the source (it decides between equal IoUs).

    Shapes: ``image``, ``category`` int64 ``[n]``; ``box`` float64 ``[n, 4]`` of x, y, width, height
    in pixels; ``area`` float64 ``[n]`` in px² (the annotation's own); ``crowd`` bool ``[n]``, regions
    that take any number of detections. ``limits`` are the area ranges, ``[a, 2]``, COCO's where not
    given; ``uncounted`` bool ``[n]`` boxes that do not count, where these are not the crowd regions.
    """

    image: Ints
    category: Ints
    box: Floats
    area: Floats
    crowd: Flags
    limits: Floats | None = None
    uncounted: Flags | None = None

    def __len__(self) -> int:
        return len(self.image)

    def ignored(self) -> Flags:
        """Boxes that do not count, ``[n, a]`` by area range: crowds, and areas out of the range."""
        uncounted = self.crowd if self.uncounted is None else self.uncounted
        return self.outside(self.area) | uncounted[:, None]

    def outside(self, area: Floats) -> Flags:
        """Whether each area ``[n]`` in px² lies outside each area range: ``[n, a]``, columns contiguous."""
        limits = LIMITS if self.limits is None else self.limits
        flags: Flags = ((area < limits[:, :1]) | (area > limits[:, 1:])).T
        return flags


@dataclass(frozen=True)
class Detections:
    """Detections in any order. Shapes: ``image``, ``category`` int64 ``[m]``; ``box`` float64
    ``[m, 4]`` in pixels; ``score`` float64 ``[m]``, finite; ``rank`` int64 ``[m]``, the order in the
    source, which decides between equal scores; ``area`` float64 ``[m]`` in px², where it is not
    width times height (masks).
    """

    image: Ints
    category: Ints
    box: Floats
    score: Floats
    rank: Ints
    area: Floats | None = None

    def __len__(self) -> int:
        return len(self.image)

    def areas(self) -> Floats:
        """The area of each, ``[m]`` in px²."""
        if self.area is not None:
            return self.area
        with np.errstate(over="ignore"):
            return self.box[:, 2] * self.box[:, 3]


@dataclass(frozen=True)
class Matches:
    """What became of each detection (``[m]``) and box (``[n]``), in the order they were given.

    Bit t of a word is about the t-th IoU threshold; the second axis of ``matched`` and ``ignored`` is
    the area range (all, and then small, medium, large). A true positive is matched and not
    ignored, a false one neither.
    """

    matched: Words
    """``[m, a]``: matched a box, be it one that is ignored."""
    ignored: Words
    """``[m, a]``: takes no part."""
    class_rank: Ints32
    """``[m]`` place by score among the detections of the same image and class, from 1."""
    kept: Flags
    """``[m]`` among the first ``max_detections`` of its image and class; the others are neither
    matched nor ignored and must be left out."""
    box: Ints
    """``[m]`` row of the box matched at IoU .5, all areas; -1: none."""
    detection: Ints
    """``[n]`` row of the first detection matched to the box at IoU .5, all areas; -1: missed."""
    order: Ints
    """``[m]`` rows of the detections by class, image and place by score."""
    found: Words
    """``[n]`` levels where the box is matched, all areas; none of a crowd region."""


def match(
    gt: GroundTruth,
    dt: Detections,
    max_detections: int = 100,
    *,
    pairs: Overlaps | None = None,
    void: Flags | None = None,
    lenient: Flags | None = None,
    thresholds: Floats = IOU_THRESHOLDS,
) -> Matches:
    """Match detections to the boxes of the same image and class at every IoU and area range.

    Args:
        gt: the boxes.
        dt: the detections.
        max_detections: detections kept an image and class, by falling score.
        pairs: all pairs of a detection and a box of the same image and class with an IoU of at
            least the first threshold, by rising detection, where they are known already or are not those of the
            boxes (masks).
        void: ``[n]`` boxes that take a detection without making it a match, as pycocotools does
            with annotation id 0; none where not given.
        lenient: ``[m]`` detections that take no part unless they match; none where not given.
        thresholds: IoU, rising.
    """
    m, n = len(dt), len(gt)
    gt_code, dt_code = pair_codes(gt.category, gt.image, (dt.category, dt.image))
    order, class_rank = rank(dt, dt_code)
    kept = class_rank <= max_detections
    turn = np.empty(m, np.int64)
    turn[order] = np.arange(m)

    if pairs is None:
        pairs = overlapping(dt_code, dt.box, gt_code, gt.box, gt.crowd, thresholds[0])
    if not kept.all():
        pairs = pairs.take(kept[pairs.detection])

    every, at50 = every_level(len(thresholds)), int(np.argmin(np.abs(thresholds - 0.5)))
    ignored_box = gt.ignored()
    levels = assign(pairs, turn, ignored_box, gt.crowd, thresholds)
    lost = np.where(ignored_box.T[:, pairs.box].T, levels, np.int16(0))
    if void is not None and void.any():
        levels[void[pairs.box]] = 0
    matched, ignored = (union(pairs.detection, words, m) for words in (levels, lost))
    found = np.bincount(pairs.box, np.where(gt.crowd[pairs.box], 0, levels[:, 0]), n).astype(np.int16)
    taken, first = np.full(m, -1), np.full(n, -1)
    hit = pairs.take(levels[:, 0] >> at50 & 1 != 0)
    taken[hit.detection] = hit.box
    late = stable_argsort(-turn[hit.detection])
    first[hit.box[late]] = hit.detection[late]
    for area, outside in enumerate(gt.outside(dt.areas()).T):
        aside = outside if lenient is None else outside | lenient
        ignored[:, area] |= (every & ~matched[:, area]) * (aside & kept)
    return Matches(matched, ignored, class_rank, kept, taken, first, order, found)


def rank(dt: Detections, code: Ints) -> tuple[Ints, Ints32]:
    """The order of detections by code (of class and image) and place by score; and these places, from 1."""
    order = ranked_order(code, dt.score, dt.image, dt.rank)
    places = np.empty(len(dt), np.int32)
    places[order] = _place_in_run(code[order])
    return order, places


def beyond_cap(gt: GroundTruth, dt: Detections, kept: Flags, max_detections: int) -> dict[int, int]:
    """By class, the boxes that can have no detection since ``max_detections`` are kept an image and class.

    Of images where further detections of the class were left out: those that are not ``kept``, ``[m]``.
    """
    if kept.all():
        return {}
    cut = set(zip(dt.category[~kept].tolist(), dt.image[~kept].tolist(), strict=True))
    single = ~gt.crowd
    held = Counter(zip(gt.category[single].tolist(), gt.image[single].tolist(), strict=True))
    lost: Counter[int] = Counter()
    for category, image in sorted(cut & held.keys()):
        lost[category] += max(held[category, image] - max_detections, 0)
    return dict(+lost)


def class_average_precision(gt: GroundTruth, dt: Detections, max_detections: int = 100) -> Floats:
    """The average precision at each of the ten IoU thresholds of one class, shape ``[10]``.

    ``gt`` and ``dt`` hold the rows of that class only. NaN where no box counts.
    """
    found = match(gt, dt, max_detections)
    kept = found.kept
    return average_precision(
        dt.score[kept],
        dt.image[kept],
        dt.rank[kept],
        found.matched[kept, 0],
        found.ignored[kept, 0],
        int((~gt.ignored()[:, 0]).sum()),
    )


def union(detection: Ints, words: Words, m: int) -> Words:
    """The union of the words ``[p, sets]`` of each detection's pairs, ``[m, sets]``, columns contiguous.

    ``detection`` rises. A detection has one box a level, so its words share no bit.
    """
    result = np.zeros((words.shape[1], m), np.int16)
    if len(detection):
        starts = np.flatnonzero(np.concatenate([[True], detection[1:] != detection[:-1]]))
        rows = detection[starts]
        for column, word in zip(result, words.T, strict=True):
            column[rows] = np.add.reduceat(word, starts) if len(rows) < len(word) else word
    return result.T


def _place_in_run(code: Ints) -> Ints32:
    """For sorted ``code``: the place of each among the equal ones, from 1."""
    position = np.arange(1, len(code) + 1, dtype=np.int32)
    before = np.zeros(len(code), np.int32)
    new = code[1:] != code[:-1]
    np.multiply(position[:-1], new, out=before[1:])
    return position - np.maximum.accumulate(before)

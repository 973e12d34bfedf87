"""COCO's matching and average precision, exactly as pycocotools computes them, without its loops.

The semantics are those of ``COCOeval.evaluateImg`` and ``COCOeval.accumulate`` (pycocotools 2.0),
bit for bit: stable order by falling score, greedy choice of the box with the highest IoU (the later
one on a tie), boxes that count before ignored ones, crowd regions that take any number of
detections.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detray.boxes import AREA_LIMITS, IOU_THRESHOLDS, paired_iou
from detray.evaluate.accumulate import average_precision
from detray.evaluate.order import falling, pair_codes, stable_argsort

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_PAIRS = 1 << 20
"""Pairs of a detection and a box whose IoU is computed at once: about 150 MB of scratch."""


@dataclass(frozen=True)
class GroundTruth:
    """Ground truth boxes of any images and classes, in any order; among the boxes of one image and
    class the order is that of the source (it decides between equal IoUs).

    Shapes: ``image``, ``category`` int64 ``[n]``; ``box`` float64 ``[n, 4]`` of x, y, width, height
    in pixels; ``area`` float64 ``[n]`` in px² (the annotation's own, for a mask that of the mask);
    ``crowd`` bool ``[n]``.
    """

    image: Ints
    category: Ints
    box: Floats
    area: Floats
    crowd: Flags

    def __len__(self) -> int:
        return len(self.image)

    @cached_property
    def ignored(self) -> Flags:
        """Boxes that do not count, ``[n, 4]`` by area range: crowds, and areas out of the range."""
        limits = np.array(list(AREA_LIMITS.values()))
        out = (self.area[:, None] < limits[:, 0]) | (self.area[:, None] > limits[:, 1])
        return out | self.crowd[:, None]


@dataclass(frozen=True)
class Detections:
    """Detections in any order. Shapes: ``image``, ``category`` int64 ``[m]``; ``box`` float64
    ``[m, 4]`` in pixels; ``score`` float64 ``[m]``, finite; ``rank`` int64 ``[m]``, the order in the
    source, which decides between equal scores.
    """

    image: Ints
    category: Ints
    box: Floats
    score: Floats
    rank: Ints

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class Matches:
    """What became of each detection (``[m]``) and box (``[n]``), in the order they were given.

    Bit t of a word of ``matched`` or ``ignored`` is about IoU ``IOU_THRESHOLDS[t]``; their second
    axis is the area range (all, small, medium, large). ``matched``: matched a box, or a region that
    is ignored; ``ignored``: takes no part. A true positive is matched and not ignored.
    """

    matched: NDArray[np.int16]
    """``[m, 4]``"""
    ignored: NDArray[np.int16]
    """``[m, 4]``"""
    class_rank: NDArray[np.int32]
    """``[m]`` place by score among the detections of the same image and class, from 1; those over
    ``max_detections`` have one too, and are neither matched nor ignored: leave them out."""
    box: Ints
    """``[m]`` row of the box matched at IoU .5 and all areas; -1: none."""
    detection: Ints
    """``[n]`` row of the first detection matched to the box at IoU .5 and all areas; -1: missed."""
    iou: Floats
    """``[m]`` the highest IoU with a box of the same image and class if at least .5, else 0."""
    kept: Flags
    """``[m]`` among the first ``max_detections`` of its image and class."""


def match(gt: GroundTruth, dt: Detections, max_detections: int = 100) -> Matches:
    """Match detections to the boxes of the same image and class at every IoU and area range.

    ``max_detections`` is the number of detections kept an image and class, by falling score.
    """
    m, n = len(dt), len(gt)
    gt_code, dt_code = pair_codes(gt.image, gt.category, (dt.image, dt.category))
    order = detection_order(dt_code, dt.score, dt.rank)
    code = dt_code[order]
    place = _place_in_run(code)
    class_rank = np.empty(m, np.int32)
    class_rank[order] = place + 1
    kept = class_rank <= max_detections

    gt_order = stable_argsort(gt_code)
    sorted_code = gt_code[gt_order]
    cut = place < max_detections
    det, box, iou = _candidates(gt, dt, order[cut], code[cut], gt_order, sorted_code)

    best = np.zeros(m)
    np.maximum.at(best, det, iou)
    limits = np.array(list(AREA_LIMITS.values()))
    matched = np.zeros((m, len(limits)), np.int16)
    taken = np.zeros((m, len(limits)), np.int16)  # matched to a box that is ignored
    at50 = np.full(m, -1)
    found = np.full(n, -1)
    bits = (1 << np.arange(len(IOU_THRESHOLDS))).astype(np.int16)
    for area in range(len(limits)):
        level, pair = _assign(det, box, iou, gt.ignored[:, area], gt.crowd)
        np.bitwise_or.at(matched[:, area], det[pair], bits[level])
        lost = gt.ignored[box[pair], area]
        np.bitwise_or.at(taken[:, area], det[pair[lost]], bits[level[lost]])
        if area == 0:
            first = pair[level == 0]
            at50[det[first]] = box[first]
            found[box[first[::-1]]] = det[first[::-1]]

    size = dt.box[:, 2] * dt.box[:, 3]
    outside = (size[:, None] < limits[:, 0]) | (size[:, None] > limits[:, 1])
    every = np.int16((1 << len(IOU_THRESHOLDS)) - 1)
    ignored = taken | np.where(outside, every & ~matched, np.int16(0))
    ignored[~kept] = 0
    return Matches(matched, ignored, class_rank, at50, found, best, kept)


def class_average_precision(gt: GroundTruth, dt: Detections, max_detections: int = 100) -> Floats:
    """The average precision at each of the ten IoU thresholds of one class, shape ``[10]``.

    ``gt`` and ``dt`` hold the rows of that class only. NaN where no box counts.
    """
    found = match(gt, dt, max_detections)
    return average_precision(
        dt.score[found.kept],
        dt.image[found.kept],
        dt.rank[found.kept],
        found.matched[found.kept, 0],
        found.ignored[found.kept, 0],
        int((~gt.crowd & ~gt.ignored[:, 0]).sum()),
    )


def detection_order(code: Ints, score: Floats, rank: Ints) -> Ints:
    """The order by ``code``, then falling ``score``, then ``rank``."""
    if len(rank) and not (rank[1:] >= rank[:-1]).all():
        order = stable_argsort(rank - rank.min())
        order = order[falling(score[order])]
    else:
        order = falling(score)
    return order[stable_argsort(code[order])]


def _place_in_run(code: Ints) -> Ints:
    """For sorted ``code``: how many equal ones stand before each."""
    position = np.arange(len(code))
    starts = np.ones(len(code), np.bool_)
    starts[1:] = code[1:] != code[:-1]
    return position - np.maximum.accumulate(np.where(starts, position, 0))


def _candidates(
    gt: GroundTruth, dt: Detections, rows: Ints, code: Ints, gt_order: Ints, gt_code: Ints
) -> tuple[Ints, Ints, Floats]:
    """Pairs with IoU of at least .5, ordered as the detections ``rows`` are, then by box.

    Returns rows of ``dt``, rows of ``gt``, and their IoU.
    """
    first = np.searchsorted(gt_code, code)
    count = np.searchsorted(gt_code, code, side="right") - first
    some = np.flatnonzero(count)
    rows, first, count = rows[some], first[some], count[some]
    total = np.cumsum(count)
    found: list[tuple[Ints, Ints, Floats]] = []
    low = 0
    while low < len(rows):
        done = total[low - 1] if low else 0
        high = max(int(np.searchsorted(total, done + MAX_PAIRS, side="right")), low + 1)
        repeat = count[low:high]
        ends = np.cumsum(repeat)
        det = np.repeat(rows[low:high], repeat)
        inside = np.arange(ends[-1]) - np.repeat(ends - repeat, repeat)
        box = gt_order[np.repeat(first[low:high], repeat) + inside]
        with np.errstate(over="ignore", invalid="ignore"):  # boxes near the largest float
            iou = paired_iou(dt.box[det], gt.box[box], gt.crowd[box])
        near = iou >= IOU_THRESHOLDS[0]
        found.append((det[near], box[near], iou[near]))
        low = high
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    det, box, iou = (np.concatenate(column) for column in zip(*found, strict=True))
    return det, box, iou


def _assign(det: Ints, box: Ints, iou: Floats, ignored: Flags, crowd: Flags) -> tuple[Ints, Ints]:
    """The greedy matching at all thresholds at once: thresholds and pairs that were chosen.

    Detections choosing in turn is the stable matching in which every box prefers the detection that
    comes first (Gale and Shapley, 1962), so all detections can propose at once: each proposes to
    the best box left on its list, each box keeps the first of its suitors, the others go on.
    Pairs are in the order of detections; a detection prefers boxes that count, then the higher IoU,
    then the later box.
    """
    n = len(det)
    if not n:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    turn = np.concatenate([[0], np.cumsum(det[1:] != det[:-1])])
    # later boxes first, then falling IoU, then boxes that count, then detections in turn
    order = np.arange(n)[::-1]
    order = order[falling(iou[order])]
    order = order[stable_argsort(turn[order] * 2 + ignored[box[order]])]

    level, pair = np.nonzero(iou[order][None, :] >= IOU_THRESHOLDS[:, None])
    pair = order[pair]
    suitor = level * (int(turn[-1]) + 1) + turn[pair]
    wanted = box[pair] * len(IOU_THRESHOLDS) + level
    open_to_all = crowd[box[pair]]
    starts = np.flatnonzero(np.concatenate([[True], suitor[1:] != suitor[:-1]]))

    holder = np.full(len(crowd) * len(IOU_THRESHOLDS), -1)
    best = np.empty_like(holder)
    chosen = np.zeros(len(pair), np.bool_)
    active = starts
    while len(active):
        shared = open_to_all[active]
        chosen[active[shared]] = True
        active = active[~shared]
        # among the suitors of a box the last one written, the first in turn, stays
        place = wanted[active]
        best[place[::-1]] = active[::-1]
        current = holder[place]
        wins = (best[place] == active) & ((current < 0) | (active < current))
        displaced = current[wins & (current >= 0)]
        holder[place[wins]] = active[wins]
        losers = np.concatenate([active[~wins], displaced]) + 1
        losers = losers[losers < len(pair)]
        active = np.sort(losers[suitor[losers] == suitor[losers - 1]])
    chosen[holder[holder >= 0]] = True
    return level[chosen], pair[chosen]

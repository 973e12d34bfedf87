"""COCO's greedy assignment of detections to boxes, at all IoU thresholds at once."""

import numpy as np

from detray.arrays import Flags, Floats, Ints, Words
from detray.boxes import IOU_THRESHOLDS
from detray.evaluate.kernel.order import falling, stable_argsort
from detray.evaluate.kernel.overlaps import Overlaps


def assign(pairs: Overlaps, turn: Ints, ignored: Flags, crowd: Flags, thresholds: Floats = IOU_THRESHOLDS) -> Words:
    """The levels at which each pair is a match, for several sets of ignored boxes: ``[p, sets]``.

    Detections choose in turn among the boxes that are left: one that counts before one that is
    ignored, then the higher IoU, then the later box.

    Args:
        pairs: ``[p]`` with an IoU of at least the first threshold.
        turn: ``[m]`` the place of each detection.
        ignored: ``[n, sets]`` boxes that do not count.
        crowd: ``[n]`` boxes that take any number of detections.
        thresholds: IoU, rising, 15 at most.
    """
    choices = np.bincount(pairs.detection, minlength=len(turn))[pairs.detection]
    contested = np.zeros(len(crowd), np.bool_)
    contested[pairs.box[choices > 1]] = True
    has_choice = contested[pairs.box]
    result = np.empty((ignored.shape[1], len(pairs.iou)), np.int16).T
    # where no detection of a box has another one to go to, nothing depends on what is ignored
    simple, rest = np.flatnonzero(~has_choice), np.flatnonzero(has_choice)
    result[simple] = _first_come(pairs.take(simple), turn, crowd, thresholds)[:, None]
    for column in range(ignored.shape[1]):
        result[rest, column] = _propose(pairs.take(rest), turn, ignored[:, column], crowd, thresholds)
    return result


def _first_come(pairs: Overlaps, turn: Ints, crowd: Flags, thresholds: Floats) -> Words:
    """The assignment where every detection has one box: a box goes, at each level, to the first that reaches it."""
    order = stable_argsort(pairs.box * len(turn) + turn[pairs.detection])
    box = pairs.box[order]
    levels = len(thresholds)
    reach = np.searchsorted(thresholds, pairs.iou[order], side="right")
    # the highest level reached so far in the run of a box; boxes rise, so runs do not mix
    base = box * (levels + 1)
    before = np.concatenate([[-1], np.maximum.accumulate(base + reach)[:-1]]) - base
    before[crowd[box]] = 0
    bits = (1 << reach) - 1 & ~((1 << np.clip(before, 0, levels)) - 1)
    result = np.empty(len(order), np.int16)
    result[order] = bits
    return result


def _propose(pairs: Overlaps, turn: Ints, ignored: Flags, crowd: Flags, thresholds: Floats) -> Words:
    """The assignment in general.

    Detections choosing in turn is the stable matching in which every box prefers the detection
    whose turn comes first (Gale and Shapley, 1962), so all detections can propose at once: each to
    the best box left on its list; each box keeps the first of its suitors, the others go on.
    """
    n, levels = len(pairs.iou), len(thresholds)
    if not n:
        return np.empty(0, np.int16)
    # least key first: later boxes, falling IoU, boxes that count, detections in turn
    order = stable_argsort(-pairs.box)
    kind = turn[pairs.detection] * 2 + ignored[pairs.box]
    order = order[falling(pairs.iou[order], kind[order])]

    level, pair = np.divmod(np.flatnonzero(pairs.iou[order] >= thresholds[:, None]), n)
    pair = order[pair]
    suitor = pairs.detection[pair] * levels + level
    wanted = pairs.box[pair] * levels + level
    shared = crowd[pairs.box[pair]]

    holder = np.full(len(crowd) * levels, -1)
    best = np.empty_like(holder)
    chosen = np.zeros(len(pair), np.bool_)
    active = np.flatnonzero(np.concatenate([[True], suitor[1:] != suitor[:-1]]))
    while len(active):
        chosen[active[shared[active]]] = True
        active = active[~shared[active]]
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
    return np.bincount(pair[chosen], 1 << level[chosen], n).astype(np.int16)

"""Pascal VOC's matching at IoU .5, which the TF Object Detection API calls PascalBoxes mAP@0.5IOU, and Open Images'.

Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 2010. A detection looks
only at the box of its class that it overlaps most: if that is taken already it is false, even where
a second box would do. A detection on a difficult box counts neither for nor against, nor does a
false one with at least half of it on a crowd region, as the TF Object Detection API treats groups.

Open Images (storage.googleapis.com/openimages/web/evaluation.html) knows groups of objects. In its
challenge such a group is a box to be found: the best-scoring of the detections with at least half of
their area on it is a true positive, the others count neither for nor against.
"""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Ints, Ints8, Ints32
from detray.evaluate.kernel import Detections, GroundTruth, Matches
from detray.evaluate.kernel.matching import rank
from detray.evaluate.kernel.order import pair_codes, stable_argsort
from detray.evaluate.kernel.overlaps import Overlaps
from detray.evaluate.shard.partners import Best

IOU = 0.5
FALSE, HIT, IGNORED = 0, 1, -1


@dataclass(frozen=True)
class PascalMatch:
    """`HIT`, `FALSE` or `IGNORED` for each detection, int8 ``[m]``, and the box it hit or is ignored for; -1: none."""

    outcome: Ints8
    box: Ints


def pascal_match(
    gt: GroundTruth, difficult: Flags, dt: Detections, pairs: Overlaps, turn: Ints, *, groups_count: bool = False
) -> PascalMatch:
    """What becomes of each detection.

    Args:
        gt: the boxes, of which ``difficult`` ``[n]`` are marked.
        dt: the detections.
        pairs: those of the same image and class with an IoU of at least .5; with a crowd region what is
            compared is the share of the detection.
        turn: ``[m]`` the place of each detection; of those that share a box the first one has it.
        groups_count: crowd regions are boxes to be found.
    """
    on_crowd = gt.crowd[pairs.box]
    single = pairs.take(~on_crowd)
    box = Best.of(single.detection, single.box, single.iou, len(dt)).partner
    outcome = np.full(len(dt), FALSE, np.int8)
    rows = np.flatnonzero(box >= 0)
    outcome[_first(rows, box, turn, len(gt))] = HIT
    outcome[rows[difficult[box[rows]]]] = IGNORED

    crowded = pairs.take(on_crowd & (outcome[pairs.detection] == FALSE))
    if len(crowded.iou):
        group = Best.of(crowded.detection, crowded.box, crowded.iou, len(dt)).partner
        rows = np.flatnonzero(group >= 0)
        outcome[rows], box[rows] = IGNORED, group[rows]
        if groups_count:
            outcome[_first(rows, group, turn, len(gt))] = HIT
    box[outcome == FALSE] = -1
    return PascalMatch(outcome, box)


def _first(rows: Ints, box: Ints, turn: Ints, n: int) -> Ints:
    """Of the detections ``rows`` the first in turn on each box."""
    rows = rows[stable_argsort(-turn[rows])]
    first = np.full(n, -1)
    first[box[rows]] = rows  # the last one written is the first in turn
    return first[first >= 0]


def _as_matches(n_boxes: int, found: PascalMatch, order: Ints, class_rank: Ints32, cap: int) -> Matches:
    """The same as `Matches` at the one level .5, over all areas; order and places are of `kernel.matching.rank`."""
    kept = class_rank <= cap
    matched = (found.box >= 0) & kept
    hit = np.flatnonzero((found.outcome == HIT) & kept)
    first = np.full(n_boxes, -1)
    first[found.box[hit]] = hit
    return Matches(
        matched[:, None].astype(np.int16),
        ((found.outcome == IGNORED) & kept)[:, None].astype(np.int16),
        class_rank,
        kept,
        np.where(matched, found.box, -1),
        first,
        order,
        (first >= 0).astype(np.int16),
    )


def match_at_best(
    gt: GroundTruth, difficult: Flags, dt: Detections, pairs: Overlaps, cap: int, *, groups_count: bool
) -> Matches:
    """Match as Pascal VOC and Open Images do; the arguments are those of `pascal_match`, and the cap."""
    _, code = pair_codes(gt.category, gt.image, (dt.category, dt.image))
    order, class_rank = rank(dt, code)
    turn = np.empty(len(dt), np.int64)
    turn[order] = np.arange(len(dt))
    pairs = pairs.take(class_rank[pairs.detection] <= cap)
    found = pascal_match(gt, difficult, dt, pairs, turn, groups_count=groups_count)
    return _as_matches(len(gt), found, order, class_rank, cap)

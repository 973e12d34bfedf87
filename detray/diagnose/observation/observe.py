"""What one shard of images tells about its boxes and detections: every row with what it sits on, and counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Floats, Ints
from detray.boxes import AREA_LIMITS
from detray.diagnose.observation import rows as o
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.counts import ClassCounts, Counts, coarse_bin, count_keys, score_bin, size_bin
from detray.diagnose.observation.image_set import ImageSet
from detray.diagnose.observation.overlap import best_of, overlaps
from detray.diagnose.observation.rows import HIT_IOU, LOOSE_IOU, NONE, BoxRows, DetectionRows
from detray.evaluate.kernel import Matches, beyond_cap, match
from detray.evaluate.kernel.order import count, find, stable_argsort


@dataclass(frozen=True)
class Observation:
    """One shard, observed."""

    boxes: BoxRows
    detections: DetectionRows
    counts: ClassCounts


def observe(
    image_set: ImageSet,
    weak: Ints,
    matches: Matches | None = None,
    floors: Mapping[int, float] | None = None,
    max_detections: int = 100,
) -> Observation:
    """Match the images (or take their ``matches``), and look closely at boxes and detections.

    All boxes and detections of the classes ``weak`` are looked at. With ``floors`` also the boxes of
    the other classes, and those of their detections that score at least the floor of their class.
    """
    gt, dt = image_set.gt, image_set.dt
    matches = match(gt, dt, max_detections) if matches is None else matches
    close_gt, close_dt = np.isin(gt.category, weak), np.isin(dt.category, weak)
    det, box, iou = overlaps(gt, dt, LOOSE_IOU, gt_rows=np.flatnonzero(close_gt))
    rest = close_dt
    if floors is not None:
        classes, place = np.unique(dt.category, return_inverse=True)
        floor = np.array([floors.get(int(k), np.inf) for k in classes])
        rest = close_dt = close_dt | (dt.score >= floor[place] if len(dt) else close_dt)
    more = overlaps(gt, dt, LOOSE_IOU, np.flatnonzero(~close_gt), np.flatnonzero(rest))
    if floors is not None:
        close_gt = np.ones(len(gt), np.bool_)
    det, box, iou = (np.concatenate(pair) for pair in zip((det, box, iou), more, strict=True))

    boxes = _boxes(image_set, matches, np.flatnonzero(close_gt & ~gt.crowd), det, box, iou)
    detections = _detections(image_set, matches, np.flatnonzero(close_dt), det, box, iou)
    counts = _counts(image_set, matches, take(boxes, np.isin(boxes.category, weak)))
    counts.doubts.update(_doubts(boxes))
    counts.beyond.update(beyond_cap(gt, dt, matches.kept, max_detections))
    return Observation(boxes, detections, counts)


def _boxes(image_set: ImageSet, matches: Matches, rows: Ints, det: Ints, box: Ints, iou: Floats) -> BoxRows:
    gt, dt = image_set.gt, image_set.dt
    same = dt.category[det] == gt.category[box]
    false = (matches.box[det] < 0) & matches.kept[det]

    # a box that is hit goes with its match, one that is missed with the surest false detection nearby
    mine = matches.detection[box] == det
    own = np.flatnonzero(same & (mine | false))
    nearest = _pick(own, box[own], np.where(mine[own], np.inf, dt.score[det[own]]), len(gt))
    over = np.flatnonzero(~same & false & (iou >= HIT_IOU))
    cover = _pick(over, box[over], dt.score[det[over]], len(gt))

    nearest, cover = nearest[rows], cover[rows]
    hit = matches.detection[rows] >= 0
    outcome = np.select([hit, cover >= 0, nearest >= 0], [o.HIT, o.COVERED, o.NEAR], o.UNTOUCHED)
    named, n_detections = count(dt.image)
    images, n_boxes = count(gt.image[~gt.crowd])
    return BoxRows(
        image=gt.image[rows],
        category=gt.category[rows],
        annotation_id=image_set.annotation_id[rows],
        annotation_row=image_set.annotation_row[rows],
        box=gt.box[rows],
        area=gt.area[rows],
        image_size=image_set.images.size_of(gt.image[rows]),
        outcome=outcome,
        detection=_take(dt.rank, _take(det, nearest, NONE), NONE),
        score=_take(dt.score, _take(det, nearest, NONE), np.nan),
        iou=_take(iou, nearest, 0.0),
        near_box=np.where(nearest[:, None] >= 0, dt.box[_take(det, nearest, 0)], np.nan)
        if len(dt)
        else np.full((len(rows), 4), np.nan),
        cover_category=_take(dt.category, _take(det, cover, NONE), NONE),
        cover_score=_take(dt.score, _take(det, cover, NONE), np.nan),
        cover_iou=_take(iou, cover, 0.0),
        cover_rank=_take(dt.rank, _take(det, cover, NONE), NONE),
        image_detections=_take(n_detections, find(named, gt.image[rows]), 0),
        image_boxes=_take(n_boxes, find(images, gt.image[rows]), 0),
    )


def _detections(image_set: ImageSet, matches: Matches, rows: Ints, det: Ints, box: Ints, iou: Floats) -> DetectionRows:
    gt, dt = image_set.gt, image_set.dt
    pairs = ~gt.crowd[box]
    same = dt.category[det] == gt.category[box]
    own = np.flatnonzero(same & pairs)
    best = _pick(own, det[own], iou[own], len(dt))[rows]
    near_missed = np.zeros(len(dt), np.bool_)
    near_missed[det[own[matches.detection[box[own]] < 0]]] = True
    other = np.flatnonzero(~same & pairs)
    beside = _pick(other, det[other], iou[other], len(dt))[rows]

    own_iou, other_iou = _take(iou, best, 0.0), _take(iou, beside, 0.0)
    # a negative size is no box: the evaluation leaves it out, the search for its format does not
    word = np.where((dt.box[rows, 2:] < 0).any(axis=1), o.ALL_LEVELS, matches.ignored[rows, 0]).astype(np.int16)
    true = (matches.matched[rows, 0] & ~word & 1).astype(np.bool_)
    ignored = (word & 1).astype(np.bool_)
    outcome = np.select(
        [true, ignored, own_iou >= HIT_IOU, other_iou >= HIT_IOU, own_iou >= LOOSE_IOU],
        [o.TRUE, o.IGNORED, o.DUPLICATE, o.ON_OTHER, o.LOOSE],
        o.BACKGROUND,
    )
    taken = _take(matches.detection, _take(box, best, NONE), NONE)
    return DetectionRows(
        image=dt.image[rows],
        category=dt.category[rows],
        box=dt.box[rows],
        score=dt.score[rows],
        rank=dt.rank[rows],
        kept=matches.kept[rows],
        matched=matches.matched[rows, 0],
        ignored=word,
        outcome=outcome,
        iou=own_iou,
        box_hit=(taken >= 0) & (taken != rows),
        near_missed=near_missed[rows],
        other_category=_take(gt.category, _take(box, beside, NONE), NONE),
        other_iou=other_iou,
    )


def _counts(image_set: ImageSet, matches: Matches, boxes: BoxRows) -> ClassCounts:
    gt, dt = image_set.gt, image_set.dt
    true = (matches.matched[:, 0] & ~matches.ignored[:, 0] & 1).astype(np.bool_)
    false = matches.kept & ~true & ~(matches.ignored[:, 0] & 1).astype(np.bool_)
    tight = true & (matches.matched[:, 0] >> o.TIGHT_LEVEL & 1).astype(np.bool_)
    hit = boxes.outcome == o.HIT
    by_other = (boxes.cover_category != NONE) & ~(hit & (boxes.score >= np.nan_to_num(boxes.cover_score, nan=-1.0)))
    vote = np.where(by_other, boxes.cover_category, np.where(hit, boxes.category, NONE))
    classes, n = count(dt.category)
    by_class = dt.score[stable_argsort(dt.category)]
    lowest = np.minimum.reduceat(by_class, np.cumsum(n) - n) if len(dt) else np.empty(0)
    is_hit, is_flat = matches.detection >= 0, (gt.box[:, 2:] <= 0).any(axis=1)
    is_small = (gt.area <= AREA_LIMITS["small"][1]) & ~is_flat
    return ClassCounts(
        flat_boxes=count_keys(gt.category[is_flat & ~gt.crowd]),
        small_boxes=count_keys(gt.category[is_small & ~gt.crowd]),
        small_hits=count_keys(gt.category[is_small & is_hit & ~gt.crowd]),
        boxes=count_keys(gt.category[~gt.crowd]),
        crowds=count_keys(gt.category[gt.crowd]),
        detections=dict(zip(classes.tolist(), n.tolist(), strict=True)),
        hits=count_keys(gt.category[is_hit & ~gt.crowd]),
        hit_sizes=count_keys(gt.category[is_hit & ~gt.crowd], size_bin(gt.box[is_hit & ~gt.crowd, 2:])),
        tight_hits=count_keys(dt.category[tight]),
        votes=count_keys(boxes.category[vote != NONE], vote[vote != NONE]),
        true_scores=count_keys(dt.category[true], score_bin(dt.score[true])),
        false_scores=count_keys(dt.category[false], score_bin(dt.score[false])),
        lowest_scores=dict(zip(classes.tolist(), score_bin(lowest).tolist(), strict=True)),
        image_detections=count_keys(count(dt.image)[1]),
    )


def _doubts(boxes: BoxRows) -> Counts:
    hit, covered = boxes.outcome == o.HIT, boxes.cover_category != NONE
    own, cover = coarse_bin(np.where(hit, boxes.score, np.nan)), coarse_bin(boxes.cover_score)
    return count_keys(own[hit | covered], cover[hit | covered])


def _pick(pairs: Ints, rows: Ints, value: Floats, n: int) -> Ints:
    """For each of ``n`` rows the one of ``pairs`` with the highest value; -1: none."""
    return _take(pairs, best_of(rows, value, n), NONE)


def _take(values: NDArray[Any], index: Ints, missing: Any) -> NDArray[Any]:
    """``values[index]``, and ``missing`` where the index is -1."""
    if not len(values):
        return np.full(len(index), missing, np.result_type(values.dtype, type(missing)))
    return np.where(index >= 0, values[index], missing)

"""What one shard of images tells about its boxes and detections: every row with what it sits on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Flags, Floats, Ints
from detray.boxes import AREA_LIMITS, IOU_THRESHOLDS
from detray.diagnose import thresholds as t
from detray.diagnose.columns import Columns, take
from detray.diagnose.overlap import best_of, overlaps
from detray.diagnose.scene import Scene
from detray.evaluate.kernel import Detections, GroundTruth, Matches, match
from detray.evaluate.order import count, places

# what a detection is; TIDE's names where it has them
TRUE, IGNORED, DUPLICATE, ON_OTHER, LOOSE, BACKGROUND = range(6)
# what became of a box
HIT, COVERED, NEAR, UNTOUCHED = range(4)

NONE = -1
TIGHT_LEVEL = int(np.searchsorted(IOU_THRESHOLDS, t.TIGHT_IOU - 1e-9))
"""The place of IoU .75 among COCO's thresholds."""
ALL_LEVELS = np.int16((1 << len(IOU_THRESHOLDS)) - 1)


@dataclass(frozen=True)
class Boxes(Columns):
    """The boxes of some classes, crowds left out, and what became of each; all shapes ``[n]``, ``box`` ``[n, 4]``."""

    image: Ints
    category: Ints
    annotation_id: Ints
    annotation_row: Ints
    box: Floats
    area: Floats
    image_size: Floats
    """``[n, 2]`` width and height of its image in pixels; NaN if unknown."""
    outcome: Ints
    """HIT: matched at IoU .5; else COVERED by a detection of another class at IoU .5 that is false
    there; else NEAR a false detection of its class at IoU .1; else UNTOUCHED."""
    detection: Ints
    """Rank of the detection that matched it, or else of the highest-scoring false one of its class
    that overlaps it by .1; -1: none."""
    score: Floats
    """Score of that detection; NaN: none."""
    iou: Floats
    """IoU with that detection; 0: none."""
    near_box: Floats
    """``[n, 4]`` the box of that detection; NaN: none."""
    cover_category: Ints
    """Class of the highest-scoring false detection of another class that overlaps it by .5; -1: none."""
    cover_score: Floats
    cover_iou: Floats
    cover_rank: Ints
    image_detections: Ints
    """Detections, of all classes, in its image."""
    image_boxes: Ints
    """Boxes, of all classes, in its image; crowds left out."""


@dataclass(frozen=True)
class Found(Columns):
    """The detections of some classes and what each sits on; all shapes ``[m]``, ``box`` ``[m, 4]``."""

    image: Ints
    category: Ints
    box: Floats
    score: Floats
    rank: Ints
    image_size: Floats
    kept: Flags
    """Among the first 100 of its image and class."""
    matched: NDArray[np.int16]
    """Bit k: matched at the k-th of COCO's IoU thresholds, as in `evaluate.kernel.Matches`."""
    ignored: NDArray[np.int16]
    outcome: Ints
    """TRUE: matched at IoU .5; IGNORED: on a crowd region; else DUPLICATE: on a box of its class that
    another detection has; ON_OTHER: on a box of another class (IoU .5); LOOSE: IoU .1 to .5 with a
    box of its class; BACKGROUND: the rest."""
    iou: Floats
    """Best IoU with a box of its class, at least .1; else 0."""
    box_row: Ints
    """annotation_row of that box; -1: none."""
    box_hit: Flags
    """That box is matched by another detection."""
    near_missed: Flags
    """Overlaps a missed box of its class by .1."""
    other_category: Ints
    """The other class with the best overlap of at least .1; -1: none."""
    other_iou: Floats
    other_row: Ints
    """annotation_row of that box."""


Counts = dict[Any, int]


@dataclass
class Tally:
    """Counts of a shard by class: small, and summed over shards in any order."""

    boxes: Counts = field(default_factory=dict)
    """Boxes, crowds left out."""
    crowds: Counts = field(default_factory=dict)
    detections: Counts = field(default_factory=dict)
    hits: Counts = field(default_factory=dict)
    """Boxes matched at IoU .5."""
    tight_hits: Counts = field(default_factory=dict)
    """Detections that are true at IoU .75."""
    small_boxes: Counts = field(default_factory=dict)
    """Boxes with area up to 32²."""
    small_hits: Counts = field(default_factory=dict)
    """Those of them that are matched at IoU .5."""
    votes: Counts = field(default_factory=dict)
    """By (class, predicted class): boxes of weak classes whose highest-scoring
    detection, of those that overlap it by .5 and are not true elsewhere, is of the predicted class."""
    true_scores: Counts = field(default_factory=dict)
    """By (class, bin of `score_bin`): true detections."""
    false_scores: Counts = field(default_factory=dict)
    """The same: detections that are false at IoU .5, of whatever kind."""
    lowest_scores: Counts = field(default_factory=dict)
    """By class: bin of the lowest score of any detection."""
    image_detections: Counts = field(default_factory=dict)
    """By number of detections: images with so many."""

    def add(self, other: "Tally") -> None:
        """Take the counts of ``other`` in."""
        for name, counts in vars(self).items():
            for key, value in getattr(other, name).items():
                if name == "lowest_scores":
                    counts[key] = min(counts.get(key, value), value)
                else:
                    counts[key] = counts.get(key, 0) + value

    def to_json(self) -> dict[str, list[list[Any]]]:
        """As JSON: for each field a list of [key, count]; a key of two parts is a list."""
        return {name: [[key, value] for key, value in counts.items()] for name, counts in vars(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, list[list[Any]]]) -> "Tally":
        """What `to_json` gave."""
        return cls(
            **{
                name: {tuple(key) if isinstance(key, list) else key: value for key, value in entries}
                for name, entries in data.items()
            }
        )


@dataclass(frozen=True)
class Observation:
    """One shard, observed."""

    boxes: Boxes
    found: Found
    tally: Tally


_HALF, _ONE = 0x3F000000 >> 17, 0x3F800000 >> 17
"""The high bits of the float32 numbers .5 and 1."""


def score_bin(score: Floats) -> Ints:
    """Scores as integers that keep their order: up to .5 at most 1.6% apart; above it their distances
    from 1 are, so that the scores of a saturated model are told apart too."""
    score = np.maximum(score, 0.0)
    low, high = _high_bits(score), _high_bits(np.clip(1 - score, 0.0, 0.5))
    return np.select([score <= 0.5, score <= 1], [low, 2 * _HALF - high], 2 * _HALF - _ONE + low)


def bin_score(number: int) -> float:
    """The lowest score of a bin."""
    if number <= _HALF:
        return _float(number)
    return 1 - _float(2 * _HALF - number + 1) if number <= 2 * _HALF else _float(number - 2 * _HALF + _ONE)


def _high_bits(values: Floats) -> Ints:
    return (values.astype(np.float32).view(np.uint32) >> 17).astype(np.int64)


def _float(high_bits: int) -> float:
    return float(np.array([high_bits << 17], np.uint32).view(np.float32)[0])


def observe(
    scene: Scene, weak: Ints, matches: Matches | None = None, floors: Mapping[int, float] | None = None
) -> Observation:
    """Match the scene (or take its ``matches``), and look closely at boxes and detections.

    All boxes and detections of the classes ``weak`` are looked at. With ``floors`` also the boxes of
    the other classes, and those of their detections that score at least the floor of their class.
    """
    gt, dt = scene.gt, scene.dt
    matches = match(gt, dt) if matches is None else matches
    close_gt, close_dt = np.isin(gt.category, weak), np.isin(dt.category, weak)
    det, box, iou = overlaps(gt, dt, t.LOOSE_IOU, gt_rows=np.flatnonzero(close_gt))
    rest = close_dt
    if floors is not None:
        classes, place = np.unique(dt.category, return_inverse=True)
        floor = np.array([floors.get(int(k), np.inf) for k in classes])
        rest = close_dt = close_dt | (dt.score >= floor[place] if len(dt) else close_dt)
    more = overlaps(gt, dt, t.LOOSE_IOU, np.flatnonzero(~close_gt), np.flatnonzero(rest))
    if floors is not None:
        close_gt = np.ones(len(gt), np.bool_)
    det, box, iou = (np.concatenate(pair) for pair in zip((det, box, iou), more, strict=True))

    boxes = _boxes(scene, matches, np.flatnonzero(close_gt & ~gt.crowd), det, box, iou)
    found = _found(scene, matches, np.flatnonzero(close_dt), det, box, iou)
    return Observation(boxes, found, _tally(scene, matches, take(boxes, np.isin(boxes.category, weak))))


def _boxes(scene: Scene, matches: Matches, rows: Ints, det: Ints, box: Ints, iou: Floats) -> Boxes:
    gt, dt = scene.gt, scene.dt
    same = dt.category[det] == gt.category[box]
    false = (matches.box[det] < 0) & matches.kept[det]

    # a box that is hit goes with its match, one that is missed with the surest false detection nearby
    mine = matches.detection[box] == det
    own = np.flatnonzero(same & (mine | false))
    nearest = _pick(own, box[own], np.where(mine[own], np.inf, dt.score[det[own]]), len(gt))
    over = np.flatnonzero(~same & false & (iou >= t.HIT_IOU))
    cover = _pick(over, box[over], dt.score[det[over]], len(gt))

    nearest, cover = nearest[rows], cover[rows]
    hit = matches.detection[rows] >= 0
    outcome = np.select([hit, cover >= 0, nearest >= 0], [HIT, COVERED, NEAR], UNTOUCHED)
    named, _, count = _runs(dt.image)
    images, n_boxes = np.unique(gt.image[~gt.crowd], return_counts=True)
    return Boxes(
        image=gt.image[rows],
        category=gt.category[rows],
        annotation_id=scene.annotation_id[rows],
        annotation_row=scene.annotation_row[rows],
        box=gt.box[rows],
        area=gt.area[rows],
        image_size=scene.images.size_of(gt.image[rows]),
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
        image_detections=_take(count, _place(named, gt.image[rows]), 0),
        image_boxes=_take(n_boxes, _place(images, gt.image[rows]), 0),
    )


def _found(scene: Scene, matches: Matches, rows: Ints, det: Ints, box: Ints, iou: Floats) -> Found:
    gt, dt = scene.gt, scene.dt
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
    word = np.where((dt.box[rows, 2:] < 0).any(axis=1), ALL_LEVELS, matches.ignored[rows, 0]).astype(np.int16)
    true = (matches.matched[rows, 0] & ~word & 1).astype(np.bool_)
    ignored = (word & 1).astype(np.bool_)
    outcome = np.select(
        [
            true,
            ignored,
            own_iou >= t.HIT_IOU,
            other_iou >= t.HIT_IOU,
            own_iou >= t.LOOSE_IOU,
        ],
        [TRUE, IGNORED, DUPLICATE, ON_OTHER, LOOSE],
        BACKGROUND,
    )
    own_box, other_box = _take(box, best, NONE), _take(box, beside, NONE)
    taken = _take(matches.detection, own_box, NONE)
    return Found(
        image=dt.image[rows],
        category=dt.category[rows],
        box=dt.box[rows],
        score=dt.score[rows],
        rank=dt.rank[rows],
        image_size=scene.images.size_of(dt.image[rows]),
        kept=matches.kept[rows],
        matched=matches.matched[rows, 0],
        ignored=word,
        outcome=outcome,
        iou=own_iou,
        box_row=_take(scene.annotation_row, own_box, NONE),
        box_hit=(taken >= 0) & (taken != rows),
        near_missed=near_missed[rows],
        other_category=_take(gt.category, other_box, NONE),
        other_iou=other_iou,
        other_row=_take(scene.annotation_row, other_box, NONE),
    )


def _tally(scene: Scene, matches: Matches, boxes: Boxes) -> Tally:
    gt, dt = scene.gt, scene.dt
    true = (matches.matched[:, 0] & ~matches.ignored[:, 0] & 1).astype(np.bool_)
    false = matches.kept & ~true & ~(matches.ignored[:, 0] & 1).astype(np.bool_)
    tight = true & (matches.matched[:, 0] >> TIGHT_LEVEL & 1).astype(np.bool_)
    hit = boxes.outcome == HIT
    by_other = (boxes.cover_category != NONE) & ~(hit & (boxes.score >= np.nan_to_num(boxes.cover_score, nan=-1.0)))
    vote = np.where(by_other, boxes.cover_category, np.where(hit, boxes.category, NONE))
    classes, start, _ = _runs(np.sort(dt.category))
    order = np.argsort(dt.category, kind="stable")
    lowest = np.minimum.reduceat(dt.score[order], start) if len(dt) else np.empty(0)
    _, _, per_image = _runs(dt.image)
    is_hit, is_small = matches.detection >= 0, gt.area <= AREA_LIMITS["small"][1]
    return Tally(
        small_boxes=_count(gt.category[is_small & ~gt.crowd]),
        small_hits=_count(gt.category[is_small & is_hit & ~gt.crowd]),
        boxes=_count(gt.category[~gt.crowd]),
        crowds=_count(gt.category[gt.crowd]),
        detections=_count(dt.category),
        hits=_count(gt.category[is_hit & ~gt.crowd]),
        tight_hits=_count(dt.category[tight]),
        votes=_count(boxes.category[vote != NONE], vote[vote != NONE]),
        true_scores=_count(dt.category[true], score_bin(dt.score[true])),
        false_scores=_count(dt.category[false], score_bin(dt.score[false])),
        lowest_scores=dict(zip(classes.tolist(), score_bin(lowest).tolist(), strict=True)),
        image_detections=_count(per_image),
    )


def _pick(pairs: Ints, rows: Ints, value: Floats, n: int) -> Ints:
    """For each of ``n`` rows the one of ``pairs`` with the highest value; -1: none."""
    return _take(pairs, best_of(rows, value, n), NONE)


def _take(values: NDArray[Any], index: Ints, missing: Any) -> NDArray[Any]:
    """``values[index]``, and ``missing`` where the index is -1."""
    if not len(values):
        return np.full(len(index), missing, np.result_type(values.dtype, type(missing)))
    return np.where(index >= 0, values[index], missing)


def _runs(ordered: Ints) -> tuple[Ints, Ints, Ints]:
    """The distinct values of sorted integers, where each starts, and how many there are."""
    start = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else np.arange(0)
    return ordered[start], start, np.diff(np.append(start, len(ordered)))


def _place(ordered: Ints, values: Ints) -> Ints:
    """The position of each value in sorted distinct integers; -1: not there."""
    if not len(ordered):
        return np.full(len(values), NONE)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.where(ordered[place] == values, place, NONE)


def _count(*keys: Ints) -> Counts:
    """How often each value, or combination of values, stands there."""
    values = [np.unique(key) for key in keys]
    code = np.zeros(len(keys[0]), np.int64)
    for key, known in zip(keys, values, strict=True):
        code = code * len(known) + places(known, key)
    found, n = count(code)
    columns = np.unravel_index(found, [max(len(known), 1) for known in values])
    named = [known[place].tolist() for known, place in zip(values, columns, strict=True)]
    return dict(zip(named[0] if len(keys) == 1 else zip(*named, strict=True), n.tolist(), strict=True))


def first_of_each_place(found: Found) -> Flags:
    """The detections that no higher-scoring one of the same image overlaps by .5."""
    if not len(found):
        return np.zeros(0, np.bool_)
    order = np.lexsort((found.rank, -found.score))
    turn = np.empty(len(found), np.int64)
    turn[order] = np.arange(len(found))
    category = np.zeros(len(found), np.int64)
    gt = GroundTruth(found.image, category, found.box, found.score, np.zeros(len(found), np.bool_))
    dt = Detections(found.image, category, found.box, found.score, found.rank)
    det, box, _ = overlaps(gt, dt, t.HIT_IOU)
    first = np.ones(len(found), np.bool_)
    first[det[turn[box] < turn[det]]] = False
    return first

"""One shard: its match table, and what the metrics of its classes are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray.arrays import Words
from detray.boxes import IOU_THRESHOLDS
from detray.evaluate.kernel import beyond_cap, match
from detray.evaluate.kernel.accumulate import EVERY_LEVEL
from detray.evaluate.kernel.masks import mask_pairs
from detray.evaluate.kernel.overlaps import overlapping
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.confusion import confusion_counts
from detray.evaluate.shard.errors import FALSE_DETECTIONS, REPAIRABLE, Repairs, error_levels, missed_levels, repairs
from detray.evaluate.shard.inputs import Scene, read_scene
from detray.evaluate.shard.match_table import WORDS, match_rows
from detray.evaluate.shard.partners import Partners
from detray.evaluate.shard.pascal import pascal_match
from detray.evaluate.shard.slice_columns import Slice
from detray.evaluate.shard.slices import sliced
from detray.tables import Shard

_KEYS = [("category_id", pa.int64()), ("image_id", pa.int64())]
DETECTIONS = pa.schema(
    [
        *_KEYS,
        ("score", pa.float64()),
        *((name, pa.int32()) for name in ("rank", "class_rank")),
        *((name, pa.int16()) for name in (*WORDS, *FALSE_DETECTIONS)),
        ("pascal", pa.int8()),
    ]
)
BOXES = pa.schema([*_KEYS, ("counts", pa.int8()), ("missed", pa.int16()), ("difficult", pa.bool_())])
REPAIRS = pa.schema(
    [*_KEYS, ("score", pa.float64()), ("rank", pa.int64()), ("error", pa.int8()), ("levels", pa.int16())]
)
"""The tables of `ShardMatches` that later steps read."""


@dataclass(frozen=True)
class ShardMatches:
    """What a shard contributes: its match table, and tables sorted by category_id for the steps that follow.

    ``detections``: each kept detection, by class, image and place by score; category_id, image_id,
    score, rank, class_rank and the eight words of the match table, a word for each type of false
    detection (the levels at which it is one), and pascal.
    ``boxes``: each box; category_id, image_id, ``counts`` (bit a: in area range a), ``missed``
    (bit t: at level t) and ``difficult``.
    ``repairs``: each detection that mending an error would make a true positive of category_id;
    image_id, score, rank, ``error`` (place in `REPAIRABLE`) and ``levels``.
    ``sliced_detections`` and ``sliced_boxes``: those of `slices.sliced`.
    ``beyond``: boxes that the cap on detections alone loses, of `beyond_cap`.
    ``confusion``: the counts of `confusion_counts`, in no order.
    """

    matches: pa.Table
    detections: pa.Table
    boxes: pa.Table
    repairs: pa.Table
    confusion: pa.Table
    sliced_detections: pa.Table
    sliced_boxes: pa.Table
    left_out: dict[str, int]
    beyond: dict[int, int]


@np.errstate(over="ignore", invalid="ignore")  # sides near the largest float, whose areas are infinite
def match_shard(
    shard: Shard, settings: EvaluateSettings, slices: Sequence[Slice] = (), *, run: str, model: str
) -> ShardMatches:
    """Match the detections of a shard to its boxes, and sort them into ``slices``; nothing outside the
    shard plays a part."""
    scene = read_scene(shard, settings)
    gt, dt = scene.gt, scene.dt
    if scene.masks is None:
        pairs = overlapping(dt.image, dt.box, gt.image, gt.box, gt.crowd)
    else:
        pairs = mask_pairs(dt.image, scene.masks[1], gt.image, scene.masks[0], gt.crowd)
    own = pairs.take((gt.category[pairs.box] == dt.category[pairs.detection]) & (pairs.iou >= IOU_THRESHOLDS[0]))
    found = match(gt, dt, settings.max_detections, pairs=own, void=scene.void)
    if not found.kept.all():
        pairs, own = (some.take(found.kept[some.detection]) for some in (pairs, own))
    partners = Partners.of(gt, dt, pairs)

    order = found.order[found.kept[found.order]]
    turn = np.empty(len(dt), np.int64)
    turn[found.order] = np.arange(len(dt))
    pascal = pascal_match(gt, scene.difficult, dt, own, turn)[order]

    counted = np.where(found.kept, EVERY_LEVEL, np.int16(0)) & ~found.ignored[:, 0]
    wrong = error_levels(counted & ~found.matched[:, 0], partners.own_box.iou, partners.other_box.iou)
    target = {"classification": partners.other_box.partner, "localization": partners.own_box.partner}
    missed = np.full(len(gt), EVERY_LEVEL)
    for error in REPAIRABLE:
        missed &= missed_levels(found.found, wrong[error], target[error])
    mended = {error: repairs(wrong[error], target[error], found.found, dt.score) for error in REPAIRABLE}
    wrong = {name: word[order] for name, word in wrong.items()}
    matches = match_rows(shard, scene, found, partners, wrong, pascal, order, run=run, model=model)
    ranked = matches.slice(0, len(order)).select(["category_id", "image_id", "score", "rank", "class_rank", *WORDS])
    return ShardMatches(
        matches,
        pa.table({name: ranked[name] for name in ranked.column_names} | wrong | {"pascal": pascal}, schema=DETECTIONS),
        _box_rows(scene, missed),
        _repair_rows(scene, mended),
        confusion_counts(gt, dt, found, pairs, settings.confusion_score),
        *sliced(shard, scene, found, own, turn, slices),
        scene.left_out | {"detections over max_detections": int((~found.kept).sum())},
        beyond_cap(gt, dt, found.kept, settings.max_detections),
    )


def _box_rows(scene: Scene, missed: Words) -> pa.Table:
    gt = scene.gt
    bits = 1 << np.arange(gt.ignored().shape[1])
    rows = np.lexsort((gt.image, gt.category))
    return pa.table(
        {
            "category_id": gt.category[rows],
            "image_id": gt.image[rows],
            "counts": (~gt.ignored() @ bits).astype(np.int8)[rows],
            "missed": missed[rows],
            "difficult": scene.difficult[rows],
        },
        schema=BOXES,
    )


def _repair_rows(scene: Scene, mended: dict[str, Repairs]) -> pa.Table:
    gt, dt = scene.gt, scene.dt
    rows = pa.concat_tables(
        pa.table(
            {
                "category_id": gt.category[part.box],
                "image_id": dt.image[part.detection],
                "score": dt.score[part.detection],
                "rank": dt.rank[part.detection],
                "error": np.full(len(part.box), REPAIRABLE.index(error), np.int8),
                "levels": part.levels,
            },
            schema=REPAIRS,
        )
        for error, part in mended.items()
    )
    return rows.sort_by("category_id")

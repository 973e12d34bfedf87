"""One shard: its match table, and what the metrics of its classes are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray.arrays import Words
from detray.evaluate.kernel import Matches, beyond_cap, match
from detray.evaluate.kernel.masks import mask_pairs
from detray.evaluate.kernel.overlaps import Overlaps, overlapping
from detray.evaluate.open_images import Rules
from detray.evaluate.protocol import Protocol, protocol_of
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.confusion import confusion_counts
from detray.evaluate.shard.errors import FALSE_DETECTIONS, REPAIRABLE, Repairs, error_levels, missed_levels, repairs
from detray.evaluate.shard.inputs import OVER_CAP, Scene, read_scene
from detray.evaluate.shard.match_table import WORDS, match_rows, words_of
from detray.evaluate.shard.partners import Partners
from detray.evaluate.shard.pascal import IOU, match_at_best, pascal_match
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
    shard: Shard,
    settings: EvaluateSettings,
    slices: Sequence[Slice] = (),
    rules: Rules | None = None,
    *,
    run: str,
    model: str,
) -> ShardMatches:
    """Match the detections of a shard to its boxes, and sort them into ``slices``; nothing outside the
    shard plays a part. ``rules`` are those of Open Images."""
    protocol = protocol_of(settings)
    scene = read_scene(shard, settings, rules)
    gt, dt = scene.gt, scene.dt
    if scene.masks is None:
        pairs = overlapping(dt.image, dt.box, gt.image, gt.box, gt.crowd)
    else:
        pairs = mask_pairs(dt.image, scene.masks[1], gt.image, scene.masks[0], gt.crowd)
    same = gt.category[pairs.box] == dt.category[pairs.detection]
    own = pairs.take(same & (pairs.iou >= protocol.thresholds[0]))
    found = _match(scene, own, protocol, settings)
    if not found.kept.all():
        pairs, own = (some.take(found.kept[some.detection]) for some in (pairs, own))
    partners = Partners.of(gt, dt, pairs)

    order = found.order[found.kept[found.order]]
    turn = np.empty(len(dt), np.int64)
    turn[found.order] = np.arange(len(dt))
    at50 = own if protocol.at50 == 0 else own.take(own.iou >= IOU)
    pascal = pascal_match(gt, scene.difficult, dt, at50, turn).outcome[order]

    counted = np.where(found.kept, protocol.every, np.int16(0)) & ~found.ignored[:, 0]
    wrong = error_levels(
        counted & ~found.matched[:, 0], partners.own_box.iou, partners.other_box.iou, protocol.thresholds
    )
    target = {"classification": partners.other_box.partner, "localization": partners.own_box.partner}
    missed = np.full(len(gt), protocol.every)
    for error in REPAIRABLE:
        missed &= missed_levels(found.found, wrong[error], target[error], protocol.every)
    mended = {
        error: repairs(wrong[error], target[error], found.found, dt.score, protocol.levels) for error in REPAIRABLE
    }
    wrong = {name: word[order] for name, word in wrong.items()}
    matches = match_rows(shard, scene, found, partners, wrong, pascal, order, protocol, run=run, model=model)
    defined = words_of(protocol)
    ranked = matches.slice(0, len(order)).select(["category_id", "image_id", "score", "rank", "class_rank", *defined])
    absent = dict.fromkeys(set(WORDS) - set(defined), np.zeros(len(order), np.int16))
    over = scene.left_out.get(OVER_CAP, 0) + int((~found.kept).sum())
    return ShardMatches(
        matches,
        pa.table(
            {name: ranked[name] for name in ranked.column_names} | absent | wrong | {"pascal": pascal}, DETECTIONS
        ),
        _box_rows(scene, missed),
        _repair_rows(scene, mended),
        confusion_counts(gt, dt, found, pairs, settings.confusion_score, protocol.bit50),
        *sliced(shard, scene, found, own, turn, slices, protocol),
        scene.left_out | {OVER_CAP: over},
        beyond_cap(gt, dt, found.kept, protocol.cap),
    )


def _match(scene: Scene, own: Overlaps, protocol: Protocol, settings: EvaluateSettings) -> Matches:
    """Match by the protocol, on pairs of the same image and class."""
    gt, dt, cap = scene.gt, scene.dt, protocol.cap
    if protocol.is_greedy:
        return match(gt, dt, cap, pairs=own, void=scene.void, lenient=scene.lenient, thresholds=protocol.thresholds)
    groups_count = protocol.name == "open_images" and settings.group_of_weight == 1
    return match_at_best(gt, scene.difficult, dt, own, cap, groups_count=groups_count)


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

"""The rows of the table ``matches``."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detray import schema, tables
from detray.arrays import Floats, Ints, Ints8, Words
from detray.evaluate.kernel import Matches
from detray.evaluate.protocol import Protocol
from detray.evaluate.shard.errors import FALSE_DETECTIONS
from detray.evaluate.shard.inputs import Scene
from detray.evaluate.shard.partners import Best, Partners
from detray.evaluate.shard.pascal import HIT, IGNORED
from detray.schema import AREA_RANGES
from detray.tables import Shard

WORDS = tuple(f"{kind}_{area}" for kind in ("matched", "ignored") for area in AREA_RANGES)
OUTCOMES = ("true_positive", "false_positive", "ignored", "missed")
TRUE_POSITIVE, FALSE_POSITIVE, IGNORE, MISSED = range(4)


def match_rows(
    shard: Shard,
    scene: Scene,
    found: Matches,
    partners: Partners,
    wrong: dict[str, Words],
    pascal: Ints8,
    order: Ints,
    protocol: Protocol,
    *,
    run: str,
    model: str,
) -> pa.Table:
    """The match table of a shard: its detections in ``order``, then its missed boxes by class and image.

    ``wrong`` holds the errors of these detections by type, ``pascal`` what Pascal's matching makes of
    them. What the ``protocol`` does not define is NULL.
    """
    gt, dt, bit = scene.gt, scene.dt, protocol.bit50
    ignored = found.ignored[order, 0] & bit != 0
    hit = found.matched[order, 0] & bit != 0
    outcome = np.where(ignored, np.int8(IGNORE), np.where(hit, np.int8(TRUE_POSITIVE), np.int8(FALSE_POSITIVE)))
    error = np.full(len(order), -1, np.int16)
    for number, name in enumerate(FALSE_DETECTIONS):
        error += (wrong[name] & bit != 0) * np.int16(number + 1)  # a detection is of one type at most
    box = found.box[order]
    detected = _names(shard, run, model, dt.image[order], dt.category[order], outcome) | {
        "error": _pick(FALSE_DETECTIONS, error),
        **_box_of(shard, scene, box),
        "rank": pa.array(dt.rank[order].astype(np.int32)),
        "class_rank": pa.array(found.class_rank[order], pa.int32()),
        "score": pa.array(dt.score[order]),
        **_sides(dt.box, order),
        **_overlaps(shard, partners.own_box, partners.other_box, order, gt.category),
        **{word: pa.array(words(found, word)[order]) for word in words_of(protocol)},
    }
    if protocol.has_voc:
        detected["voc_match"] = pa.array(pascal == HIT, mask=pascal == IGNORED)

    lost = np.flatnonzero((found.detection < 0) & ~gt.ignored()[:, 0])
    lost = lost[np.lexsort((gt.image[lost], gt.category[lost]))]
    missed = _names(shard, run, model, gt.image[lost], gt.category[lost], np.full(len(lost), MISSED, np.int8)) | {
        **_box_of(shard, scene, lost),
        **_sides(gt.box, lost),
        **_overlaps(shard, partners.own_detection, partners.other_detection, lost, dt.category),
    }
    return pa.concat_tables([schema.conform(pa.table(rows), "matches") for rows in (detected, missed)])


def words_of(protocol: Protocol) -> list[str]:
    """Those of `WORDS` that a protocol defines."""
    return [word for word in WORDS if word.rpartition("_")[2] in protocol.areas]


def words(found: Matches, name: str) -> Words:
    """The column ``name`` of `WORDS`, ``[m]``."""
    kind, _, area = name.partition("_")
    return (found.matched if kind == "matched" else found.ignored)[:, AREA_RANGES.index(area)]


def _names(
    shard: Shard, run: str, model: str, image: Ints, category: Ints, outcome: NDArray[np.integer]
) -> dict[str, pa.Array]:
    images, classes = pa.array(image), pa.array(category)
    return {
        "run": _repeat(run, len(image)),
        "split": _repeat(shard.split, len(image)),
        "model": _repeat(model, len(image)),
        "image_id": images,
        "file_name": tables.lookup(images, shard.images, "image_id", "file_name"),
        "category_id": classes,
        "category_name": class_name(shard, classes),
        "outcome": _pick(OUTCOMES, outcome),
    }


def class_name(shard: Shard, category: pa.Array) -> pa.Array:
    """The name of each class; one that the categories lack is called by its id."""
    names = tables.lookup(category, shard.categories, "category_id", "category_name")
    return pc.coalesce(names, category.cast(pa.string())) if names.null_count > category.null_count else names


def _box_of(shard: Shard, scene: Scene, box: Ints) -> dict[str, pa.Array]:
    """Who the boxes are; -1 gives NULL."""
    none = box < 0
    rows = pa.array(scene.gt_row[box] if len(scene.gt_row) else box, mask=none)
    area = scene.gt.area[box] if len(scene.gt_row) else np.zeros(len(box))
    return {
        "annotation_id": _take(shard.annotations, "annotation_id", rows),
        "annotation_row": _take(shard.annotations, "annotation_row", rows),
        "gt_area": pa.array(area, mask=none),
    }


def _overlaps(shard: Shard, own: Best, other: Best, rows: Ints, category: Ints) -> dict[str, pa.Array]:
    """The columns about overlaps; ``category`` is that of the partners."""
    partner = other.partner[rows]
    number = category[partner] if len(category) else partner
    named = pa.array(number, mask=partner < 0)
    return {
        "iou": pa.array(own.iou[rows]),
        "other_category_id": named,
        "other_category_name": class_name(shard, named),
        "other_iou": pa.array(other.iou[rows]),
    }


def _sides(box: Floats, rows: Ints) -> dict[str, pa.Array]:
    return {side: pa.array(box[:, k][rows]) for k, side in enumerate(("x", "y", "width", "height"))}


def _take(table: pa.Table, column: str, rows: pa.Array) -> pa.Array:
    return table.column(column).combine_chunks().take(rows)


def _pick(names: tuple[str, ...], number: NDArray[np.integer]) -> pa.Array:
    """The name of each number; -1 gives NULL."""
    return pa.array(names).take(pa.array(number, mask=number < 0))


def _repeat(value: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), n)

"""AP on parts of the data: by size and shape of objects, and by any column of images or annotations.

A slice by image takes the boxes and detections of its images. A slice by object takes its boxes,
others being ignored as COCO ignores those out of an area range; a detection that matches nothing
counts in the slice that its own box lies in or, where a box alone does not tell, in every slice.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.arrays import Floats, Ints
from detray.evaluate.accumulate import EVERY_LEVEL, precision_at_recall, true_positives
from detray.evaluate.assignment import assign
from detray.evaluate.bootstrap import LEVEL_50
from detray.evaluate.inputs import Scene
from detray.evaluate.kernel import Matches, union
from detray.evaluate.metrics import Names
from detray.evaluate.order import pair_codes, ranked_order, stable_argsort
from detray.evaluate.pairs import Pairs
from detray.evaluate.slice_columns import Slice, texts
from detray.tables import Shard

SIZES = np.array([0.0, 16.0, 32.0, 64.0, 128.0, 256.0, np.inf])
"""Edges of the slices ``size``: the square root of the area, in pixels."""
ASPECTS = np.array([0.0, 1 / 3, 2 / 3, 3 / 2, 3.0, np.inf])
"""Edges of the slices ``aspect``: width divided by height."""

_BOXES = pa.schema([("key", pa.int64()), ("slice", pa.string()), ("value", pa.string()), ("category_id", pa.int64())])
_DETECTIONS = pa.schema(
    [
        ("key", pa.int64()),
        ("category_id", pa.int64()),
        ("image_id", pa.int64()),
        ("score", pa.float64()),
        ("rank", pa.int64()),
        ("hit", pa.int16()),
        ("counted", pa.int16()),
    ]
)


@dataclass(frozen=True)
class Labels:
    """In which slice each row lies: its place in ``values``, -1 for none."""

    values: list[str]
    box: Ints
    detection: Ints | None
    """None: a box alone does not tell."""
    by_image: bool = False


def sliced(
    shard: Shard, scene: Scene, found: Matches, own: Pairs, turn: Ints, slices: Sequence[Slice]
) -> tuple[pa.Table, pa.Table]:
    """The detections and the boxes of each slice of a shard: scratch tables sorted by category_id.

    Both have ``key``, a number for slice and value, and category_id. Detections: image_id, score,
    rank, ``hit`` and ``counted`` (levels). Boxes, those that count: slice and value.

    Args:
        shard, scene, found: the shard, its rows and their matches.
        own: pairs of the same class with an IoU of at least .5, of detections that are kept.
        turn: ``[m]`` the place of each detection.
        slices: what slices, as of `slice_columns.resolve`.
    """
    gt, dt = scene.gt, scene.dt
    ignored = gt.ignored()[:, :1]
    detections, boxes = [_DETECTIONS.empty_table()], [_BOXES.empty_table()]
    for chosen in slices:
        labels = _labels(shard, scene, chosen)
        outside = labels.box[:, None] != np.arange(len(labels.values))
        sets = ignored if labels.by_image else ignored | outside
        levels = assign(own, turn, sets, gt.crowd)
        all_matched = union(own.detection, levels, len(dt))
        all_lost = union(own.detection, np.where(sets[own.box], levels, np.int16(0)), len(dt))
        for place, value in enumerate(labels.values):
            column = 0 if labels.by_image else place
            matched, counted = all_matched[:, column], ~all_lost[:, column] & EVERY_LEVEL
            if labels.detection is not None:
                counted &= np.where(labels.detection == place, EVERY_LEVEL, 0 if labels.by_image else matched)
            rows = np.flatnonzero(found.kept & (counted != 0))
            mine = gt.category[~ignored[:, 0] & ~outside[:, place]]
            key = _key(chosen.name, value)
            detections.append(
                pa.table(
                    [
                        np.full(len(rows), key),
                        dt.category[rows],
                        dt.image[rows],
                        dt.score[rows],
                        dt.rank[rows],
                        (matched & counted)[rows],
                        counted[rows],
                    ],
                    schema=_DETECTIONS,
                )
            )
            text = (pa.repeat(pa.scalar(part), len(mine)) for part in (chosen.name, value))
            boxes.append(pa.table([np.full(len(mine), key), *text, mine], schema=_BOXES))
    return _by_class(detections), _by_class(boxes)


def _by_class(parts: list[pa.Table]) -> pa.Table:
    rows = pa.concat_tables(parts).combine_chunks()
    return rows.take(pa.array(stable_argsort(tables.numpy(rows, "category_id"))))


def slice_table(detections: pa.Table, boxes: pa.Table, names: Names) -> pa.Table:
    """The table ``slices`` of some classes from the scratch tables of `sliced` of all shards."""
    columns = ["slice", "value", "category_id", "key"]
    groups = boxes.group_by(columns, use_threads=False).aggregate([([], "count_all")])
    if not groups.num_rows:
        return schema.empty("slices")
    groups = groups.sort_by([(name, "ascending") for name in columns])
    # each slice of a class is scored like a class of its own
    group = _places(groups, detections)
    rows = detections.filter(pa.array(group >= 0))
    group = group[group >= 0]
    order = ranked_order(group, *(tables.numpy(rows, name) for name in ("score", "image_id", "rank")))
    group = group[order]
    hits = true_positives(
        group,
        np.searchsorted(group, np.arange(groups.num_rows + 1)),
        tables.numpy(rows, "hit")[order],
        tables.numpy(rows, "counted")[order],
    )
    precision = precision_at_recall(hits, tables.numpy(groups, "count_all")[:, None])
    return schema.from_columns(
        "slices",
        names.of(tables.numpy(groups, "category_id"))
        | {
            "slice": groups["slice"],
            "value": groups["value"],
            "n_ground_truth": groups["count_all"],
            "ap": precision.reshape(len(precision), -1).mean(axis=1),  # summed as the AP of a class
            "ap50": precision[:, LEVEL_50].mean(axis=1),
        },
        run=names.run,
    )


def _places(groups: pa.Table, rows: pa.Table) -> Ints:
    """Which row of ``groups`` each of ``rows`` belongs to, by class and key; -1: none."""
    (known, wanted) = (
        np.stack([tables.numpy(part, name) for name in ("category_id", "key")]) for part in (groups, rows)
    )
    code, wanted_code = pair_codes(known[0], known[1], (wanted[0], wanted[1]))
    order = np.argsort(code)
    place = np.minimum(np.searchsorted(code[order], wanted_code), len(code) - 1)
    return np.where(code[order][place] == wanted_code, order[place], -1)


def _key(name: str, value: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{name}\0{value}".encode(), digest_size=8).digest()) >> 1


def _labels(shard: Shard, scene: Scene, chosen: Slice) -> Labels:
    gt, dt = scene.gt, scene.dt
    if chosen.name == "size":
        return _binned(SIZES, np.sqrt(np.maximum(gt.area, 0)), np.sqrt(np.maximum(dt.areas(), 0)), " px")
    if chosen.name == "aspect":
        return _binned(ASPECTS, _aspect(gt.box), _aspect(dt.box), "")
    if chosen.table == "images":
        listed = pa.table({"image_id": shard.images["image_id"], "text": texts(shard.images, chosen)})
        box, found = (tables.lookup(pa.array(image), listed, "image_id", "text") for image in (gt.image, dt.image))
        values = pa.concat_arrays([box, found]).drop_null().unique().sort()
        return Labels(values.to_pylist(), _place(box, values), _place(found, values), by_image=True)
    box = texts(shard.annotations, chosen).take(pa.array(scene.gt_row))
    values = box.drop_null().unique().sort()
    return Labels(values.to_pylist(), _place(box, values), None)


def _place(texts: pa.Array, values: pa.Array) -> Ints:
    return pc.index_in(texts, value_set=values).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _aspect(box: Floats) -> Floats:
    return np.divide(box[:, 2], box[:, 3], out=np.full(len(box), np.nan), where=box[:, 3] > 0)


def _binned(edges: Floats, box: Floats, detection: Floats, unit: str) -> Labels:
    """Slices from each edge up to the next."""
    values = [f"[{low:.3g}, {high:.3g}){unit}" for low, high in pairwise(edges)]

    def place(sizes: Floats) -> Ints:
        return np.where(np.isfinite(sizes), np.searchsorted(edges, sizes, side="right") - 1, -1)

    return Labels(values, place(box), place(detection))

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

from detray import tables
from detray.arrays import Floats, Ints
from detray.evaluate.kernel import Matches
from detray.evaluate.kernel.assignment import assign
from detray.evaluate.kernel.matching import union
from detray.evaluate.kernel.order import stable_argsort
from detray.evaluate.kernel.overlaps import Overlaps
from detray.evaluate.protocol import Protocol
from detray.evaluate.shard.inputs import Scene
from detray.evaluate.shard.slice_columns import Slice, texts
from detray.tables import Shard

SIZES = np.array([0.0, 16.0, 32.0, 64.0, 128.0, 256.0, np.inf])
"""Edges of the slices ``size``: the square root of the area, in pixels."""
ASPECTS = np.array([0.0, 1 / 3, 2 / 3, 3 / 2, 3.0, np.inf])
"""Edges of the slices ``aspect``: width divided by height."""

SLICED_BOXES = pa.schema(
    [("key", pa.int64()), ("slice", pa.string()), ("value", pa.string()), ("category_id", pa.int64())]
)
SLICED_DETECTIONS = pa.schema(
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
    shard: Shard,
    scene: Scene,
    found: Matches,
    own: Overlaps,
    turn: Ints,
    slices: Sequence[Slice],
    protocol: Protocol,
) -> tuple[pa.Table, pa.Table]:
    """The detections and the boxes of each slice of a shard, sorted by category_id.

    Both have ``key``, a number for slice and value, and category_id. Detections: image_id, score,
    rank, ``hit`` and ``counted`` (levels). Boxes, those that count: slice and value.

    Args:
        shard, scene, found: the shard, its rows and their matches.
        own: pairs of the same class with an IoU of at least .5, of detections that are kept.
        turn: ``[m]`` the place of each detection.
        slices: what slices, as of `slice_columns.resolve`.
        protocol: one whose matching is COCO's; the others have no slices.
    """
    gt, dt, every = scene.gt, scene.dt, protocol.every
    ignored = gt.ignored()[:, :1]
    detections, boxes = [SLICED_DETECTIONS.empty_table()], [SLICED_BOXES.empty_table()]
    for chosen in slices if protocol.is_greedy else ():
        labels = _labels(shard, scene, chosen)
        outside = labels.box[:, None] != np.arange(len(labels.values))
        sets = ignored if labels.by_image else ignored | outside
        levels = assign(own, turn, sets, gt.crowd, protocol.thresholds)
        all_matched = union(own.detection, levels, len(dt))
        all_lost = union(own.detection, np.where(sets[own.box], levels, np.int16(0)), len(dt))
        for place, value in enumerate(labels.values):
            column = 0 if labels.by_image else place
            matched, counted = all_matched[:, column], ~all_lost[:, column] & every
            if scene.lenient is not None:
                counted &= np.where(scene.lenient, matched, every)
            if labels.detection is not None:
                counted &= np.where(labels.detection == place, every, 0 if labels.by_image else matched)
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
                    schema=SLICED_DETECTIONS,
                )
            )
            text = (pa.repeat(pa.scalar(part), len(mine)) for part in (chosen.name, value))
            boxes.append(pa.table([np.full(len(mine), key), *text, mine], schema=SLICED_BOXES))
    return _by_class(detections), _by_class(boxes)


def _by_class(parts: list[pa.Table]) -> pa.Table:
    rows = pa.concat_tables(parts).combine_chunks()
    return rows.take(pa.array(stable_argsort(tables.numpy(rows, "category_id"))))


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

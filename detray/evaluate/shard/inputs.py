"""The rows of a shard that take part in the evaluation, as arrays."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detray import tables
from detray.arrays import Flags, Floats, Ints
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.kernel.masks import areas
from detray.evaluate.settings import EvaluateSettings
from detray.masks import Mask, read_mask
from detray.tables import Shard

TRUTH_COLUMNS = (
    *("annotation_id", "image_id", "category_id", "x", "y", "width", "height"),
    *("area", "is_crowd", "is_difficult"),
)
"""The columns of annotations that `read_scene` reads."""


@dataclass(frozen=True)
class Scene:
    """Boxes ``[n]`` and detections ``[m]`` of a shard, and the table rows they come from."""

    gt: GroundTruth
    gt_row: Ints
    difficult: Flags
    void: Flags
    """Boxes whose match does not count, as in `kernel.match`."""
    dt: Detections
    dt_row: Ints
    masks: tuple[list[Mask], list[Mask]] | None
    """Of boxes and of detections, where masks are matched."""
    left_out: dict[str, int]
    """Rows that take no part, by reason; rows of a class that ground truth lacks are counted, yet take part."""


def read_scene(shard: Shard, settings: EvaluateSettings) -> Scene:
    """The scene of a shard: rows without an image of the shard, a class, a box or, where masks are
    matched, a mask take no part."""
    a, d, left_out = shard.annotations, shard.predictions, {}
    box, found = tables.boxes(a), tables.boxes(d)
    images = pc.drop_null(shard.images["image_id"]).unique()
    classes = shard.categories.filter(pc.not_equal(shard.categories["source"], "predictions"))["category_id"].unique()

    takes_part = np.ones(a.num_rows, np.bool_)
    for reason, holds in (
        ("annotations of an unknown image", _among(a["image_id"], images)),
        ("annotations of an unknown class", _among(a["category_id"], classes)),
        ("annotations without a box", _finite(box)),
    ):
        left_out[reason] = int((takes_part & ~holds).sum())
        takes_part &= holds
    gt_row = np.flatnonzero(takes_part)
    takes_part = np.ones(d.num_rows, np.bool_)
    for reason, holds in (
        ("detections of an unknown image", _among(d["image_id"], images)),
        ("detections without a box", _finite(found)),
        ("detections without a score", np.isfinite(tables.numpy(d, "score"))),
    ):
        left_out[reason] = int((takes_part & ~holds).sum())
        takes_part &= holds
    dt_row = np.flatnonzero(takes_part)
    masks = None
    if settings.iou_type == "segm":
        readable, gt_masks = _masks(a, gt_row, shard.images)
        left_out["annotations without a mask"] = int((~readable).sum())
        gt_row = gt_row[readable]
        readable, dt_masks = _masks(d, dt_row, shard.images)
        left_out["detections without a mask"] = int((~readable).sum())
        dt_row = dt_row[readable]
        masks = gt_masks, dt_masks
    known = _taken(_among(d["category_id"], classes), dt_row)
    left_out["detections of a class that ground truth lacks"] = int((~known).sum())

    box, area = take_boxes(box, gt_row), _taken(tables.numpy(a, "area"), gt_row)
    gt = GroundTruth(
        _taken(tables.numpy(a, "image_id", 0), gt_row),
        _taken(tables.numpy(a, "category_id", 0), gt_row),
        box,
        np.where(np.isfinite(area), area, box[:, 2] * box[:, 3]),
        _taken(tables.numpy(a, "is_crowd"), gt_row),
    )
    dt = Detections(
        _taken(tables.numpy(d, "image_id"), dt_row),
        _taken(tables.numpy(d, "category_id"), dt_row),
        take_boxes(found, dt_row),
        _taken(tables.numpy(d, "score"), dt_row),
        _taken(tables.numpy(d, "rank"), dt_row).astype(np.int64),
        areas(masks[1]) if masks else None,
    )
    void = np.zeros(len(gt), np.bool_)
    if settings.strict_pycocotools:
        void = tables.numpy(a, "annotation_id", -1)[gt_row] == 0
    return Scene(gt, gt_row, _taken(tables.numpy(a, "is_difficult"), gt_row), void, dt, dt_row, masks, left_out)


def take_boxes(box: Floats, rows: Ints) -> Floats:
    """Some rows of ``box`` ``[n, 4]``, columns contiguous."""
    return box if len(rows) == len(box) else np.stack([side[rows] for side in box.T]).T


def _taken(values: NDArray, rows: Ints) -> NDArray:
    return values if len(rows) == len(values) else values[rows]


def _finite(box: Floats) -> Flags:
    """Whether each box has all its coordinates; their sum tells if all have."""
    if np.isfinite(box.sum()):
        return np.ones(len(box), np.bool_)
    return np.asarray(np.isfinite(box).all(axis=1))


def _masks(table: pa.Table, rows: Ints, images: pa.Table) -> tuple[Flags, list[Mask]]:
    """Which of the rows have a mask, and these masks."""
    chosen = table.select(["image_id", "segmentation"]).take(pa.array(rows))
    sides = (tables.lookup(chosen["image_id"], images, "image_id", side).to_pylist() for side in ("height", "width"))
    found = [
        read_mask(text, *(math.nan if side is None else side for side in size))
        for text, *size in zip(chosen["segmentation"].to_pylist(), *sides, strict=True)
    ]
    return np.array([mask is not None for mask in found], np.bool_), [mask for mask in found if mask is not None]


def _among(values: pa.ChunkedArray, known: pa.Array) -> Flags:
    """Whether each value is one of ``known``; NULL is not."""
    return pc.is_in(values, value_set=known).to_numpy()


def no_known_image(split: str, detections: int) -> str:
    """The sentence for detections none of which can be placed."""
    return (
        f"none of the {detections} detections names an image of the split {split}:"
        " check that they were made for this data set and use its image ids"
    )

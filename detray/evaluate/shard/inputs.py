"""The rows of a shard that take part in the evaluation, as arrays."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detray import tables
from detray.arrays import Flags, Floats, Ints
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.kernel.masks import areas
from detray.evaluate.kernel.matching import rank
from detray.evaluate.kernel.order import pair_codes
from detray.evaluate.open_images import Rules, verified
from detray.evaluate.protocol import Protocol, protocol_of
from detray.evaluate.settings import AreaRanges, EvaluateSettings
from detray.evaluate.shard.image_labels import NEGATIVE, NOT_EXHAUSTIVE, VERIFIED, image_classes, marked_groups
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
    lenient: Flags | None
    """Detections that take no part unless they match, as in `kernel.match`."""
    masks: tuple[list[Mask], list[Mask]] | None
    """Of boxes and of detections, where masks are matched."""
    left_out: dict[str, int]
    """Rows that take no part, by reason; rows of a class that ground truth lacks are counted, yet take part."""


OVER_CAP = "detections over max_detections"
UNVERIFIED = "detections of a class that their image was not looked through for"


def read_scene(shard: Shard, settings: EvaluateSettings, rules: Rules | None = None) -> Scene:
    """The scene of a shard: rows without an image of the shard, a class, a box or, where masks are
    matched, a mask take no part, nor do those that the protocol leaves out.

    Args:
        shard: its rows.
        settings: what is matched, and the protocol.
        rules: of Open Images.
    """
    scene, protocol = _read(shard, settings), protocol_of(settings)
    if protocol.name == "lvis":
        return _of_lvis(shard, scene, protocol)
    if protocol.name == "open_images":
        return _of_open_images(shard, scene, settings, rules or Rules())
    if protocol.name == "pascal":
        gt = replace(scene.gt, uncounted=scene.gt.crowd | scene.difficult, limits=protocol.limits)
        return _with_area(replace(scene, gt=gt))
    if settings.area_ranges == AreaRanges():
        return scene
    return replace(scene, gt=replace(scene.gt, limits=protocol.limits))


def _of_lvis(shard: Shard, scene: Scene, protocol: Protocol) -> Scene:
    """The best detections of each image, of classes that it was looked through for: those it has boxes of, and those
    that it is known to lack. It knows no crowds."""
    gt, dt = scene.gt, scene.dt
    negative, lenient = (image_classes(shard.images, keys) for keys in (NEGATIVE, NOT_EXHAUSTIVE))
    within = rank(dt, dt.image)[1] <= protocol.cap
    known = negative.has(dt.image, dt.category) | _pairs_in(dt.image, dt.category, gt.image, gt.category)
    left_out = {
        OVER_CAP: int((~within).sum()),
        UNVERIFIED: int((within & ~known).sum()),
    }
    scene = _with(scene, np.flatnonzero(within & known), left_out)
    dt = scene.dt
    gt = replace(gt, crowd=np.zeros(len(gt), np.bool_), limits=protocol.limits)
    return replace(scene, gt=gt, lenient=lenient.has(dt.image, dt.category))


def _of_open_images(shard: Shard, scene: Scene, settings: EvaluateSettings, rules: Rules) -> Scene:
    """Boxes of all classes that they count for, groups of objects as crowd regions, no difficult ones, and detections
    of classes that their image was looked through for."""
    gt, protocol = scene.gt, protocol_of(settings)
    groups = _taken(marked_groups(shard.annotations), scene.gt_row)
    rows, category = rules.expanded(gt.category)
    crowd = groups[rows]
    gt = GroundTruth(
        gt.image[rows],
        category,
        gt.box[rows],
        gt.area[rows],
        crowd,
        protocol.limits,
        crowd & (settings.group_of_weight == 0),
    )
    none = np.zeros(len(gt), np.bool_)
    scene = replace(scene, gt=gt, gt_row=scene.gt_row[rows], difficult=none, void=none)
    if settings.expand_detections:
        rows, category = rules.expanded(scene.dt.category)
        scene = _with(scene, rows, {})
        scene = replace(scene, dt=replace(scene.dt, category=category))
    scene = _with_area(scene)
    dt = scene.dt
    known = _pairs_in(dt.image, dt.category, gt.image, gt.category)
    if rules.labels is not None:
        known |= verified(rules.labels, shard.images, dt.image, dt.category)
    else:
        labels = image_classes(shard.images, VERIFIED)
        known |= labels.has(dt.image, dt.category) | ~np.isin(dt.image, labels.stated)
    return _with(scene, np.flatnonzero(known), {UNVERIFIED: int((~known).sum())})


def _with_area(scene: Scene) -> Scene:
    """Without detections that have no area, which the TF Object Detection API's evaluators leave out."""
    has_area = (scene.dt.box[:, 2:] > 0).all(axis=1)
    return _with(scene, np.flatnonzero(has_area), {"detections without an area": int((~has_area).sum())})


def _with(scene: Scene, rows: Ints, left_out: dict[str, int]) -> Scene:
    """A scene with these rows of its detections."""
    dt = scene.dt
    chosen = Detections(
        dt.image[rows],
        dt.category[rows],
        take_boxes(dt.box, rows) if len(rows) < len(dt) else dt.box[rows],
        dt.score[rows],
        dt.rank[rows],
        None if dt.area is None else dt.area[rows],
    )
    masks = scene.masks and (scene.masks[0], [scene.masks[1][row] for row in rows.tolist()])
    return replace(scene, dt=chosen, dt_row=scene.dt_row[rows], masks=masks, left_out=scene.left_out | left_out)


def _pairs_in(image: Ints, category: Ints, known_image: Ints, known_category: Ints) -> Flags:
    known, asked = pair_codes(known_image, known_category, (image, category))
    return np.isin(asked, known)


def _read(shard: Shard, settings: EvaluateSettings) -> Scene:
    """All that can be judged, whatever the protocol."""
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
    return Scene(gt, gt_row, _taken(tables.numpy(a, "is_difficult"), gt_row), void, dt, dt_row, None, masks, left_out)


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

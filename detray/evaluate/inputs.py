"""The rows of a shard that take part in the evaluation, as arrays."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detray import tables
from detray.evaluate.kernel import Detections, Flags, GroundTruth, Ints
from detray.evaluate.settings import EvaluateSettings
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
    left_out: dict[str, int]
    """Rows that take no part, by reason; rows of a class that ground truth lacks are counted, yet take part."""


def read_scene(shard: Shard, settings: EvaluateSettings) -> Scene:
    """The scene of a shard: rows without an image of the shard, a class or a box take no part."""
    images = pc.drop_null(shard.images["image_id"]).unique()
    classes = shard.categories.filter(pc.field("source") != "predictions")["category_id"].unique()
    a, d = shard.annotations, shard.predictions

    box, found = tables.boxes(a), tables.boxes(d)
    known_image, known_class = _among(a["image_id"], images), _among(a["category_id"], classes)
    finite = np.isfinite(box).all(axis=1)
    gt_row = np.flatnonzero(known_image & known_class & finite)
    located, whole = _among(d["image_id"], images), np.isfinite(found).all(axis=1)
    score = tables.numpy(d, "score")
    scored = np.isfinite(score)
    dt_row = np.flatnonzero(located & whole & scored)

    box, found = box[gt_row], found[dt_row]
    area = tables.numpy(a, "area")[gt_row]
    category = tables.numpy(d, "category_id")[dt_row]
    gt = GroundTruth(
        tables.numpy(a, "image_id", 0)[gt_row],
        tables.numpy(a, "category_id", 0)[gt_row],
        box,
        np.where(np.isfinite(area), area, box[:, 2] * box[:, 3]),
        tables.numpy(a, "is_crowd")[gt_row],
    )
    dt = Detections(
        tables.numpy(d, "image_id")[dt_row],
        category,
        found,
        score[dt_row],
        tables.numpy(d, "rank")[dt_row].astype(np.int64),
    )
    void = np.zeros(len(gt), np.bool_)
    if settings.strict_pycocotools:
        void = tables.numpy(a, "annotation_id", -1)[gt_row] == 0
    return Scene(
        gt,
        gt_row,
        tables.numpy(a, "is_difficult")[gt_row],
        void,
        dt,
        dt_row,
        {
            "annotations of an unknown image": int((~known_image).sum()),
            "annotations of an unknown class": int((known_image & ~known_class).sum()),
            "annotations without a box": int((known_image & known_class & ~finite).sum()),
            "detections of an unknown image": int((~located).sum()),
            "detections without a box": int((located & ~(whole & scored)).sum()),
            "detections of a class that ground truth lacks": int((~_among(d["category_id"], classes))[dt_row].sum()),
        },
    )


def _among(values: pa.ChunkedArray, known: pa.Array) -> NDArray[np.bool_]:
    """Whether each value is one of ``known``; NULL is not."""
    return pc.is_in(values, value_set=known).to_numpy()


def no_known_image(split: str, detections: int) -> str:
    """The sentence for detections none of which can be placed."""
    return (
        f"none of the {detections} detections names an image of the split {split}:"
        " check that they were made for this data set and use its image ids"
    )

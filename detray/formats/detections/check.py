"""Detections that can be scored, and those that are left out, with the reason."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.flow.account import LeftOut
from detray.formats.detections.ids import image_texts
from detray.formats.detections.rows import SIDES
from detray.tables import lookup

REASONS = {
    "nan-score": "its score is not finite",
    "not-finite-box": "its box is not finite",
    "unreadable-row": "its image, class, box or score is absent or cannot be read",
    "score-out-of-range": "its score is not from 0 to 1",
    "negative-size": "its box has a negative width or height",
    "unknown-image": "its image is not in the ground truth",
    "unknown-category": "its class is not in the ground truth",
}
"""Why a detection is left out, the first that holds, in this order."""


def left_out(quarantine: pa.Table) -> dict[str, LeftOut]:
    """How many rows were left out, and the first of them, by reason."""
    found = {}
    for reason in pc.unique(quarantine["reason"]).to_pylist():
        rows = quarantine.filter(pc.equal(quarantine["reason"], reason))
        row = pc.min(rows["row"]).as_py()
        found[reason] = LeftOut(rows.num_rows, row, rows["detail"][pc.index(rows["row"], row).as_py()].as_py())
    return found


def validate(
    raw: pa.Table, images: pa.Table, categories: pa.Table, *, run: str, model: str, split: str, stage: str = "predict"
) -> tuple[pa.Table, pa.Table]:
    """Divide raw detections into those that can be scored and those that are left out.

    Args:
        raw: as `RAW`.
        images: of the split, with image_id and file_name; a duplicate id counts once.
        categories: of the split, with category_id and category_name.
        run, model, split, stage: what the rows are marked with.

    Returns:
        ``predictions`` in the order of ``raw``, and ``quarantine``, whose ``row`` is the position in
        the source file from 0 and whose ``reason`` is one of `REASONS`.
    """
    reasons = _reasons(raw, _ids(images, "image_id"), _ids(categories, "category_id"))
    is_good = pa.array(reasons == "")
    good, bad = raw.filter(is_good), raw.filter(pc.invert(is_good))
    predictions = schema.conform(
        good.drop_columns(["source_file", "defects", "category_name"])
        .append_column("run", pa.repeat(run, good.num_rows))
        .append_column("model", pa.repeat(model, good.num_rows))
        .append_column("split", pa.repeat(split, good.num_rows))
        .append_column("file_name", lookup(good["image_id"], images, "image_id", "file_name"))
        .append_column("category_name", lookup(good["category_id"], categories, "category_id", "category_name")),
        "predictions",
    )
    quarantine = schema.from_columns(
        "quarantine",
        {
            "stage": pa.repeat(stage, bad.num_rows),
            "split": pa.repeat(split, bad.num_rows),
            "source_file": bad["source_file"],
            "row": pc.subtract(bad["rank"].cast(pa.int64()), 1),
            "reason": pa.array(reasons[reasons != ""], pa.string()),
            "detail": _details(bad),
        },
        run=run,
    )
    return predictions, quarantine


def _reasons(raw: pa.Table, images: pa.Array, categories: pa.Array) -> np.ndarray:
    """For each row the first of `REASONS` that holds, else an empty string; shape ``[n]``, objects."""
    x, y, width, height = (raw[side] for side in SIDES)
    no_box = pc.is_null(pc.add(pc.add(x, y), pc.add(width, height)))
    no_score = pc.is_null(raw["score"])
    is_named = pa.chunked_array([image_texts(raw).is_valid()])
    no_image = pc.and_(pc.is_null(raw["image_id"]), pc.invert(is_named))
    no_class = pc.and_(pc.is_null(raw["category_id"]), pc.is_null(raw["category_name"]))
    no_id = pc.or_(no_image, no_class)
    infinite_score, infinite_box = _not_finite(raw["defects"])
    holds = {
        "nan-score": infinite_score,
        "not-finite-box": infinite_box,
        "unreadable-row": pc.or_(no_id, pc.or_(no_score, no_box)),
        "score-out-of-range": pc.or_(pc.less(raw["score"], 0.0), pc.greater(raw["score"], 1.0)),
        "negative-size": pc.or_(pc.less(width, 0.0), pc.less(height, 0.0)),
        "unknown-image": pc.or_(is_named, pc.invert(pc.is_in(raw["image_id"], value_set=images))),
        "unknown-category": pc.invert(pc.is_in(raw["category_id"], value_set=categories)),
    }
    reasons = np.full(raw.num_rows, "", dtype=object)
    for name in reversed(REASONS):
        test = holds[name]
        reasons[test if isinstance(test, np.ndarray) else pc.fill_null(test, False).to_numpy()] = name
    return reasons


def _not_finite(defects: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose score, and rows whose box, was written as NaN or Infinity."""
    score, box = np.zeros(len(defects), np.bool_), np.zeros(len(defects), np.bool_)
    for index in np.flatnonzero(defects.is_valid().to_numpy()).tolist():
        for defect in defects[index].as_py():
            if defect["rule"] == "not-finite":
                score[index] |= defect["field"] == "score"
                box[index] |= defect["field"].startswith("bbox")
    return score, box


def _ids(table: pa.Table, column: str) -> pa.Array:
    return pc.unique(table[column]).drop_null()


def _details(bad: pa.Table) -> pa.Array:
    """The numbers of each row as text."""
    image = pc.coalesce(bad["image_id"].cast(pa.string()), pa.chunked_array([image_texts(bad)]))
    bad = bad.set_column(bad.column_names.index("image_id"), "image_id", image)
    classes = pc.coalesce(bad["category_name"], bad["category_id"].cast(pa.string()))
    bad = bad.set_column(bad.column_names.index("category_id"), "category_id", classes)
    texts = []
    labels = {"image_id": "image ", "category_id": ", class ", "score": ", score ", "x": ", box "}
    for name in (*labels, "y", "width", "height"):
        texts += [labels.get(name, " "), pc.fill_null(bad[name].cast(pa.string()), "?")]
    return pc.binary_join_element_wise(*texts, "")

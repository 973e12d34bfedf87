"""Scenes for hypothesis, and pycocotools as the oracle."""

import contextlib
import io
import json
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detray import schema
from detray.evaluate.kernel import Detections, GroundTruth

# sides and places that make ties in IoU, boxes without size and areas on the borders of the ranges
SIDES = (0.0, 8.0, 16.0, 32.0, 33.0, 96.0, 128.0)
SHIFTS = (0.0, 0.0, 1.0, 2.0, 4.0, 8.0)
SCORES = (0.1, 0.25, 0.25, 0.5, 0.75, 0.9)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[GroundTruth, Detections]:
    """Boxes of a few images and classes, and detections that mostly lie near them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    images, classes = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    n, m = draw(st.integers(0, 25)), draw(st.integers(0, 60))
    if draw(st.integers(0, 9)) == 0:
        images, classes, m = 1, 1, 260  # over the cap of 100 an image and class
    box = np.c_[rng.integers(0, 25, (n, 2)) * 4, rng.choice(SIDES, (n, 2))].astype(float)
    area = box[:, 2] * box[:, 3] * rng.choice([1.0, 1.0, 0.7], n)
    gt = GroundTruth(rng.integers(0, images, n), rng.integers(1, classes + 1, n), box, area, rng.random(n) < 0.15)
    image, category = rng.integers(0, images, m), rng.integers(1, classes + 2, m)
    found = np.c_[rng.integers(0, 25, (m, 2)) * 4, rng.choice(SIDES, (m, 2))].astype(float)
    if n:
        near, source = np.flatnonzero(rng.random(m) < 0.8), rng.integers(0, n, m)
        found[near] = box[source[near]] + rng.choice(SHIFTS, (len(near), 4))
        image[near], category[near] = gt.image[source[near]], gt.category[source[near]]
    return gt, Detections(image, category, found, rng.choice(SCORES, m), rng.permutation(m))


def evaluate(
    gt: dict[str, Any],
    dt: list[dict[str, Any]],
    iou_type: str = "bbox",
    area_range: list[float] | None = None,
    params: Mapping[str, Any] = MappingProxyType({}),
) -> COCOeval:
    """pycocotools on plain COCO structures, accumulated; ``stats`` holds the twelve numbers.

    ``area_range`` takes the place of the first range, all, if given, and ``params`` those of its parameters;
    there are no stats then.
    """
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations
        coco = COCO()
        coco.dataset = gt
        coco.createIndex()
        found = coco.loadRes(dt) if dt else _nothing_found(coco)
        result = COCOeval(coco, found, iou_type)
        if area_range is not None:
            result.params.areaRng[0] = area_range
        for name, value in params.items():
            setattr(result.params, name, value)
        result.evaluate()
        result.accumulate()
        if area_range is None and not params:
            result.summarize()
    return result


def _nothing_found(coco: COCO) -> COCO:
    empty = COCO()
    empty.dataset = coco.dataset | {"annotations": []}
    empty.createIndex()
    return empty


def as_coco(gt: GroundTruth, dt: Detections) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The plain COCO structures of a scene; image 99 has neither boxes nor detections."""
    images = sorted({*gt.image.tolist(), *dt.image.tolist(), 99})
    classes = sorted({*gt.category.tolist(), *dt.category.tolist()})
    annotations = [
        {
            "id": row + 1,
            "image_id": int(gt.image[row]),
            "category_id": int(gt.category[row]),
            "bbox": gt.box[row].tolist(),
            "area": float(gt.area[row]),
            "iscrowd": int(gt.crowd[row]),
        }
        for row in range(len(gt))
    ]
    detections = [
        {
            "image_id": int(dt.image[row]),
            "category_id": int(dt.category[row]),
            "bbox": dt.box[row].tolist(),
            "score": float(dt.score[row]),
        }
        for row in np.argsort(dt.rank)
    ]
    truth = {
        "images": [{"id": image} for image in images],
        "categories": [{"id": number, "name": f"class {number}"} for number in classes],
        "annotations": annotations,
    }
    return truth, detections


def as_tables(gt: dict[str, Any], dt: list[dict[str, Any]]) -> tuple[pa.Table, pa.Table, pa.Table, pa.Table]:
    """The canonical tables images, annotations, categories and predictions of plain COCO structures."""
    images = [
        {"split": "val", "image_id": image["id"], "file_name": f"{image['id']}.jpg", "image_row": row}
        for row, image in enumerate(gt["images"])
    ]
    annotations = [
        {
            "split": "val",
            "annotation_id": note["id"],
            "annotation_row": row,
            "image_id": note["image_id"],
            "category_id": note["category_id"],
            **_sides(note["bbox"]),
            "area": note["area"],
            "is_crowd": bool(note["iscrowd"]),
            "is_difficult": False,
            "segmentation": json.dumps(note["segmentation"]) if "segmentation" in note else None,
        }
        for row, note in enumerate(gt["annotations"])
    ]
    categories = [
        {"split": "val", "category_id": entry["id"], "category_name": entry["name"], "source": "annotations"}
        for entry in gt["categories"]
    ]
    predictions = [
        {
            "split": "val",
            "model": "a",
            "image_id": found["image_id"],
            "category_id": found["category_id"],
            **_sides(found.get("bbox", [None] * 4)),
            "score": found["score"],
            "rank": row + 1,
            "segmentation": json.dumps(found["segmentation"]) if "segmentation" in found else None,
        }
        for row, found in enumerate(dt)
    ]
    return (
        schema.from_rows("images", images, run="test"),
        schema.from_rows("annotations", annotations, run="test"),
        schema.from_rows("categories", categories, run="test"),
        schema.from_rows("predictions", predictions, run="test"),
    )


def _sides(box: list[float | None]) -> dict[str, float | None]:
    return dict(zip(("x", "y", "width", "height"), box, strict=True))

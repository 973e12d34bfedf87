"""From what a model answers, as its layout says, to detections in pixels of the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats
from detray.boxes import from_corners
from detray.detectors.detector import Detections, OfPicture, Prepared
from detray.detectors.inputs import place
from detray.detectors.io import BoxOrder, Layout
from detray.detectors.settings import PredictSettings


@dataclass(frozen=True)
class Answer:
    """What a model says of one picture.

    ``boxes``: ``[n, 4]`` in its own order and unit; ``scores``: ``[n]``; ``classes``: ``[n]``, as it counts, which
    some models give as 4.0118.
    """

    boxes: Floats
    scores: Floats
    classes: Floats


def detections(
    answers: Sequence[Answer], pictures: Sequence[Prepared], layout: Layout, predict: PredictSettings
) -> Detections:
    """Of each picture's answer what counts, best first; of equal scores the first is the best.

    Boxes are clipped to their picture; rows that are not finite are dropped.
    """
    return Detections.of([_of_picture(*pair, layout, predict) for pair in zip(answers, pictures, strict=True)])


def _of_picture(answer: Answer, picture: Prepared, layout: Layout, predict: PredictSettings) -> OfPicture:
    boxes, scores = answer.boxes.astype(np.float64), answer.scores.astype(np.float64)
    counts = (scores > predict.score_threshold) & np.isfinite(boxes).all(axis=1) & np.isfinite(answer.classes)
    rows = np.flatnonzero(counts)
    rows = rows[np.argsort(-scores[rows], kind="stable")][: predict.max_detections]
    corners = in_picture(to_corners(boxes[rows], layout.box_order), picture, layout)
    return from_corners(corners), scores[rows], np.rint(answer.classes[rows]).astype(np.int64)


def to_corners(boxes: Floats, order: BoxOrder) -> Floats:
    """Boxes ``[n, 4]`` as xmin, ymin, xmax, ymax, in their unit."""
    if order == "yxyx":
        return boxes[:, [1, 0, 3, 2]]
    if order == "xyxy":
        return boxes
    low = boxes[:, :2] - (boxes[:, 2:] / 2 if order == "cxcywh" else 0)
    return np.concatenate([low, low + boxes[:, 2:]], axis=1)


def in_picture(corners: Floats, picture: Prepared, layout: Layout) -> Floats:
    """Corners ``[n, 4]`` in the layout's unit as pixels of the picture as displayed, inside it."""
    size = np.array([picture.width, picture.height] * 2, np.float64)
    if layout.box_unit == "share" and (layout.resize == "none" or layout.height is None or layout.width is None):
        corners = corners * size
    elif layout.box_unit != "pixel":
        if layout.height is None or layout.width is None:
            raise ValueError("boxes in pixels of an input whose size is not known")
        if layout.box_unit == "share":
            corners = corners * np.array([layout.width, layout.height] * 2)
        where = place(picture.width, picture.height, layout.width, layout.height, layout.resize)
        corners = (corners - np.tile(where.offset, 2)) / np.tile(where.scale, 2)
    return np.clip(corners, 0, size)

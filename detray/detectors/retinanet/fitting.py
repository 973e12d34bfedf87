"""Anchors that fit the boxes of a data set."""

from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from detray.arrays import Floats, Floats32
from detray.detectors.retinanet.anchors import POSITIVE_IOU, SCALES, Shapes, anchor_shapes
from detray.detectors.settings import AnchorSettings, DetectorSettings

MOST_BOXES = 20_000
"""More of them, evenly spread, would move no anchor by a pixel."""
MOST_ROUNDS = 100


@dataclass(frozen=True)
class Fitted:
    """Settings whose anchors and levels are written out, and the share of boxes that anchors reach at
    `POSITIVE_IOU`, centre on centre: the default ones and these; None where there are no boxes."""

    detector: DetectorSettings
    default: float | None
    reached: float | None


def fitted(detector: DetectorSettings, boxes: Floats32) -> Fitted:
    """``detector`` as a network is built of it: anchors that are ``auto`` fitted to ``boxes``.

    Each box belongs to the level whose default anchors have about its size; the anchors of a level are what
    k-means finds among its boxes with 1 - IoU for a distance. A level of fewer boxes than anchors keeps the
    default ones, and all do where these reach more boxes.

    Args:
        detector: as configured.
        boxes: corners ``[n, 4]`` in px of the input, crowds left out.

    Source: Redmon and Farhadi, YOLO9000, CVPR 2017 (k-means on IoU).
    """
    detector = replace(detector, top_level=detector.levels[-1])
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    usual = anchor_shapes(replace(detector, anchors="default"))
    default = reached(sides, usual)
    if detector.anchors == "auto":
        found = _by_level(sides[:: len(sides) // MOST_BOXES + 1], usual)
        better = default is not None and (reached(sides, found) or 0) > default
        shapes = tuple(found.values()) if better else ()
        detector = replace(detector, anchors=AnchorSettings(shapes=shapes) if better else "default")
    return Fitted(detector, default, reached(sides, anchor_shapes(detector)))


def reached(sides: Floats, shapes: Shapes) -> float | None:
    """The share of boxes (widths and heights ``[n, 2]``) that an anchor overlaps by `POSITIVE_IOU` at least."""
    if not len(sides):
        return None
    return float((shape_iou(sides, _flat(shapes)).max(axis=1) >= POSITIVE_IOU).mean())


def shape_iou(sides: Floats, shapes: Floats) -> Floats:
    """IoU of boxes ``[n, 2]`` with ``[m, 2]``, widths and heights, centre on centre: ``[n, m]``."""
    inter = np.minimum(sides[:, None], shapes).prod(axis=2)
    overlap: Floats = inter / (sides.prod(axis=1)[:, None] + shapes.prod(axis=1) - inter)
    return overlap


def _flat(shapes: Shapes) -> Floats:
    return np.array([shape for level in shapes.values() for shape in level], np.float64)


def _by_level(sides: Floats, usual: Shapes) -> Shapes:
    """Anchors of each level from the boxes that belong to it."""
    first, last = min(usual), max(usual)
    octave = np.log2(np.sqrt(sides.prod(axis=1)) / (SCALES[0] * (1 << first))) + 1 / 6  # half a step below the smallest
    level = np.clip(np.floor(octave).astype(np.int64) + first, first, last)
    found = {}
    for k, shapes in usual.items():
        mine = sides[level == k]
        found[k] = _centres(mine, len(shapes)) if len(mine) >= len(shapes) else shapes
    return found


def _centres(sides: Floats, count: int) -> tuple[tuple[float, float], ...]:
    """The centres of ``count`` clusters of boxes ``[n, 2]``, the smallest first; a centre is a geometric mean."""
    sides = sides[np.argsort(sides.prod(axis=1), kind="stable")]
    owner = np.repeat(np.arange(count), [len(part) for part in np.array_split(sides, count)])
    centres = np.ones((count, 2))
    for _ in range(MOST_ROUNDS):
        for cluster in np.unique(owner):
            centres[cluster] = np.exp(np.log(sides[owner == cluster]).mean(axis=0))
        nearest = shape_iou(sides, centres).argmax(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
    ordered = np.maximum(np.round(centres[np.argsort(centres.prod(axis=1), kind="stable")], 2), 0.01)
    return tuple((float(width), float(height)) for width, height in ordered)

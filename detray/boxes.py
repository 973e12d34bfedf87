"""Box geometry. Boxes are float64 arrays ``[n, 4]`` of ``x, y, width, height`` in pixels (COCO)."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""COCO's ten IoU thresholds, with the very bits that pycocotools compares with."""

RECALL_POINTS: Floats = np.linspace(0.0, 1.0, 101)
"""COCO's recall grid; a grid shifted by 1e-12 moves an AP by up to 1e-3."""

AREA_LIMITS = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""COCO's area ranges in px², both ends inclusive."""


@dataclass(frozen=True)
class Reach:
    """What a detector can see: its input, px, and the widths and heights of its anchors, px ``[a, 2]``."""

    input_width: int
    input_height: int
    anchors: tuple[tuple[float, float], ...]


def to_corners(boxes: Floats) -> Floats:
    """``x, y, width, height`` as ``xmin, ymin, xmax, ymax``; shape ``[n, 4]``."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def from_corners(corners: Floats) -> Floats:
    """``xmin, ymin, xmax, ymax`` as ``x, y, width, height``; shape ``[n, 4]``."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


OVER_TOLERANCE = 2.0
"""Pixels outside of its image from which a box is implausible there."""


def plausible(boxes: Floats, sizes: Floats) -> Flags:
    """Boxes with sides of at least a pixel within their images, ``[n]``."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    inside = (low >= -OVER_TOLERANCE) & (high <= sizes + OVER_TOLERANCE)
    return np.asarray((inside & (boxes[:, 2:] >= 1)).all(axis=1))


def exchange_corners(boxes: Floats) -> Floats:
    """Boxes whose width or height is negative with their corners in the right order, ``[n, 4]``; others as they are."""
    return np.concatenate([boxes[:, :2] + np.minimum(boxes[:, 2:], 0.0), np.abs(boxes[:, 2:])], axis=1)


def paired_iou(a: Floats, b: Floats, crowd: Flags | None = None) -> Floats:
    """IoU of ``a[i]`` with ``b[i]``, shape ``[n]``, with the operations and their order of pycocotools.

    Where ``crowd[i]``, ``b[i]`` is a crowd region and the union is the area of ``a[i]`` alone
    (``bbIou`` in COCO's maskApi.c). Boxes that do not overlap, degenerate ones included, give 0.
    """
    wide = np.minimum(a[:, 0] + a[:, 2], b[:, 0] + b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    high = np.minimum(a[:, 1] + a[:, 3], b[:, 1] + b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    inter = np.where((wide > 0) & (high > 0), wide * high, 0.0)
    area = a[:, 2] * a[:, 3]
    union = area + b[:, 2] * b[:, 3] - inter
    if crowd is not None:
        union = np.where(crowd, area, union)
    return np.divide(inter, union, out=np.zeros_like(inter), where=inter > 0)


def pairwise_iou(a: Floats, b: Floats, crowd: Flags | None = None) -> Floats:
    """IoU of every box of ``a`` ``[n, 4]`` with every box of ``b`` ``[m, 4]``: shape ``[n, m]``.

    ``crowd`` ``[m]`` marks crowd regions among ``b``, as in `paired_iou`.
    """
    n, m = len(a), len(b)
    flags = None if crowd is None else np.tile(crowd, n)
    return paired_iou(np.repeat(a, m, axis=0), np.tile(b, (n, 1)), flags).reshape(n, m)

"""Where a segmentation lies: enough to tell whether a changed box still holds it."""

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from detray.arrays import Floats
from detray.masks import read_mask

ROUNDING = 0.5
"""Pixels by which a polygon may stick out of its box: tools round boxes and polygons differently."""

_Polygons = Annotated[list[Annotated[list[float], Meta(min_length=6)]], Meta(min_length=1)]


def extent(segmentation: str) -> Floats | None:
    """``xmin, ymin, xmax, ymax`` in pixels of a COCO polygon or RLE (JSON text); None if not readable."""
    try:
        shape = msgspec.json.decode(segmentation, type=_Polygons)
    except msgspec.DecodeError:
        return _mask_extent(segmentation)
    if any(len(polygon) % 2 for polygon in shape):
        return None
    points = np.concatenate([np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in shape])
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _mask_extent(segmentation: str) -> Floats | None:
    from pycocotools import mask

    code = read_mask(segmentation, math.nan, math.nan)
    if code is None:
        return None
    box = np.asarray(mask.toBbox(code), np.float64)
    return np.concatenate([box[:2], box[:2] + box[2:]])


def holds(corners: Floats, segmentation: str) -> bool:
    """Whether the box ``xmin, ymin, xmax, ymax`` (shape ``[4]``) holds the segmentation, but for rounding."""
    inner = extent(segmentation)
    return inner is not None and bool(
        np.all(inner[:2] >= corners[:2] - ROUNDING) and np.all(inner[2:] <= corners[2:] + ROUNDING)
    )

"""Where a segmentation lies: enough to tell whether a changed box still holds it."""

import re
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

ROUNDING = 0.5
"""Pixels by which a polygon may stick out of its box: tools round boxes and polygons differently."""

_Size = Annotated[int, Meta(ge=1, le=1 << 16)]
_Polygons = Annotated[list[Annotated[list[float], Meta(min_length=6)]], Meta(min_length=1)]
_COUNTS = re.compile(r"([P-o]{0,6}[0-O])+")
"""COCO's compressed run lengths: 5 bits a character from '0' on, bit 6 says that the number goes on.
pycocotools reads on beyond the end of a text that breaks off inside a number."""


class _Mask(msgspec.Struct):
    size: tuple[_Size, _Size]
    counts: str | list[Annotated[int, Meta(ge=0, lt=1 << 32)]]


def extent(segmentation: str) -> NDArray[np.float64] | None:
    """``xmin, ymin, xmax, ymax`` in pixels of a COCO polygon or RLE (JSON text); None if not readable.

    RLE is COCO's, compressed or not (pycocotools ``maskApi.c``).
    """
    try:
        shape: Any = msgspec.json.decode(segmentation, type=_Polygons | _Mask)
    except msgspec.DecodeError:
        return None
    if isinstance(shape, _Mask):
        return _mask_extent(shape)
    if any(len(polygon) % 2 for polygon in shape):
        return None
    points = np.concatenate([np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in shape])
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _mask_extent(shape: _Mask) -> NDArray[np.float64] | None:
    from pycocotools import mask

    height, width = shape.size
    if isinstance(shape.counts, str):
        if not _COUNTS.fullmatch(shape.counts):
            return None
        encoded = {"size": [height, width], "counts": shape.counts.encode()}
    elif sum(shape.counts) == height * width:
        encoded = mask.frPyObjects({"size": [height, width], "counts": shape.counts}, height, width)
    else:
        return None
    box = np.asarray(mask.toBbox(encoded), np.float64)
    return np.concatenate([box[:2], box[:2] + box[2:]])


def holds(corners: NDArray[np.float64], segmentation: str) -> bool:
    """Whether the box ``xmin, ymin, xmax, ymax`` (shape ``[4]``) holds the segmentation, but for rounding."""
    inner = extent(segmentation)
    return inner is not None and bool(
        np.all(inner[:2] >= corners[:2] - ROUNDING) and np.all(inner[2:] <= corners[2:] + ROUNDING)
    )

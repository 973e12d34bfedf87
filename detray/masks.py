"""Masks: COCO's polygons and run lengths, read by pycocotools' own C code.

That code trusts what it is given: run lengths that do not add up to the picture make it run for
ever, a number that breaks off makes it read beyond the text, long outlines fill the memory. So
nothing goes there that has not been checked here.
"""

import re
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from detray.arrays import Floats, Ints

Mask = dict[str, Any]
"""A compressed run-length code as pycocotools has it: ``size`` (height, width) and ``counts`` (bytes)."""

MAX_SIDE, MAX_PIXELS = 1 << 16, 1 << 29
"""Of a picture: ``rleFrString`` shifts numbers of 32 bits and misreads what has more than six characters."""
MAX_TEXT = 1 << 21
"""Characters of a segmentation: a million run lengths, or 100,000 corners."""
MAX_OUTLINE = 1 << 20
"""Pixels along all edges of a mask's polygons: ``rleFrPoly`` takes 80 bytes for each."""
MERGED = 64
"""Polygons merged in one go: the time grows with the square of their number."""

_Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_Polygons = Annotated[list[Annotated[list[float], Meta(min_length=6)]], Meta(min_length=1)]
_NO_COUNTS = re.compile(r"[^0-o]|[P-o]{6}|[P-o]\Z|\A\Z")
"""What no such text holds: five bits a character from '0' on, bit 6 says that the number goes on, six at most."""


class _RunLengths(msgspec.Struct):
    size: tuple[_Side, _Side]
    counts: str | list[Annotated[int, Meta(ge=0, lt=1 << 32)]]


def read_mask(text: str | None, height: float, width: float) -> Mask | None:
    """The mask of a COCO segmentation in JSON; None if it is none, or too large for pycocotools.

    ``height`` and ``width`` are the picture's, in pixels, NaN where not known; run lengths state
    their own.
    """
    if text is None or len(text) > MAX_TEXT:
        return None
    try:
        shape: Any = msgspec.json.decode(text, type=_Polygons | _RunLengths)
    except msgspec.DecodeError:
        return None
    return _of_run_lengths(shape) if isinstance(shape, _RunLengths) else _of_polygons(shape, height, width)


def _of_run_lengths(shape: _RunLengths) -> Mask | None:
    from pycocotools import mask

    size, counts = list(shape.size), shape.counts
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS or (isinstance(counts, str) and _NO_COUNTS.search(counts)):
        return None
    lengths = run_lengths(counts) if isinstance(counts, str) else np.array(counts, np.int64)
    # a sum of 64 bits can come round to the right one again
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > pixels or int(lengths.sum()) != pixels:
        return None
    if isinstance(counts, str) and lengths[1:].all():
        return {"size": size, "counts": counts.encode()}
    code: Mask = mask.frPyObjects({"size": size, "counts": _joined(lengths).tolist()}, *size)
    return code


def _joined(lengths: Ints) -> Ints:
    """The same mask with no run of length 0 but the first one: to pycocotools 0 is the end."""
    rows = np.flatnonzero(lengths)
    is_object = rows % 2
    starts = np.flatnonzero(np.diff(is_object, prepend=-1))
    return np.concatenate([np.zeros(is_object[0], np.int64), np.add.reduceat(lengths[rows], starts)])


def _of_polygons(shape: list[list[float]], height: float, width: float) -> Mask | None:
    from pycocotools import mask

    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and height * width <= MAX_PIXELS):
        return None
    polygons = [np.asarray(polygon, np.float64) for polygon in shape]
    corners = np.concatenate(polygons)
    low, high, reach = corners.min(), corners.max(), 2 * max(height, width)
    if low < -reach or high > reach:
        return None
    # no edge is longer than all corners lie apart, which mostly is enough to know
    if len(corners) * (high - low) > MAX_OUTLINE and sum(map(_outline, polygons)) > MAX_OUTLINE:
        return None
    codes = mask.frPyObjects(shape, int(height), int(width))
    while len(codes) > MERGED:
        codes = [mask.merge(codes[first : first + MERGED]) for first in range(0, len(codes), MERGED)]
    merged: Mask = mask.merge(codes)
    return merged


def _outline(polygon: Floats) -> float:
    """Pixels along the edges of a polygon ``[x, y, x, y, ...]``; an odd number at the end is no corner."""
    corners = polygon[: len(polygon) // 2 * 2].reshape(-1, 2)
    return float(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())


def run_lengths(counts: str) -> Ints:
    """The run lengths of COCO's compressed text, which must be well formed (``rleFrString`` in maskApi.c)."""
    digits = np.frombuffer(counts.encode(), np.uint8) - np.uint8(48)
    ends = np.flatnonzero(digits < 0x20)
    starts = np.concatenate([[0], ends[:-1] + 1])
    size = ends - starts + 1
    place = np.arange(len(digits), dtype=np.int32) - np.repeat(starts.astype(np.int32), size)
    values = np.add.reduceat((digits & 0x1F).astype(np.int64) << 5 * place, starts)
    values -= np.where(digits[ends] & 0x10, np.int64(1) << 5 * size, 0)
    # from the fourth on each is the difference to the one before the last
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values

"""Masks: COCO's polygons and run lengths, read by pycocotools' own C code.

That code trusts what it is given: run lengths that do not add up to the picture make it run for
ever, a number that breaks off makes it read beyond the text, far away corners fill the memory. So
nothing goes there that has not been checked here.
"""

import re
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = dict[str, Any]
"""A compressed run-length code as pycocotools has it: ``size`` (height, width) and ``counts`` (bytes)."""

MAX_SIDE = 1 << 16
_Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
_Polygons = Annotated[list[Annotated[list[float], Meta(min_length=6)]], Meta(min_length=1)]
_COUNTS = re.compile(r"([P-o]{0,6}[0-O])+")
"""Five bits a character from '0' on, bit 6 says that the number goes on."""


class _RunLengths(msgspec.Struct):
    size: tuple[_Side, _Side]
    counts: str | list[Annotated[int, Meta(ge=0, lt=1 << 32)]]


def read_mask(text: str | None, height: float, width: float) -> Mask | None:
    """The mask of a COCO segmentation in JSON; None if it is none.

    ``height`` and ``width`` are the picture's, in pixels, NaN where not known; run lengths state
    their own.
    """
    try:
        shape: Any = msgspec.json.decode(text or "", type=_Polygons | _RunLengths)
    except msgspec.DecodeError:
        return None
    from pycocotools import mask

    if isinstance(shape, _RunLengths):
        pixels = shape.size[0] * shape.size[1]
        if isinstance(shape.counts, list):
            if sum(shape.counts) != pixels:
                return None
            code: Mask = mask.frPyObjects({"size": list(shape.size), "counts": shape.counts}, *shape.size)
            return code
        if not _COUNTS.fullmatch(shape.counts):
            return None
        lengths = run_lengths(shape.counts)
        is_whole = lengths.min() >= 0 and int(lengths.sum()) == pixels
        return {"size": list(shape.size), "counts": shape.counts.encode()} if is_whole else None
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        return None
    corners = np.concatenate([np.asarray(polygon, np.float64) for polygon in shape])
    reach = 2 * max(height, width)
    if not (np.abs(corners) <= reach).all():
        return None
    merged: Mask = mask.merge(mask.frPyObjects(shape, int(height), int(width)))
    return merged


def run_lengths(counts: str) -> Ints:
    """The run lengths of COCO's compressed text, which must be well formed (``rleFrString`` in maskApi.c)."""
    digits = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - 48
    last = digits & 0x20 == 0
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((digits & 0x1F) << 5 * place, starts)
    negative = digits[ends] & 0x10 != 0
    values -= np.where(negative, np.int64(1) << 5 * (ends - starts + 1), 0)
    # from the fourth on each is the difference to the one before the last
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values

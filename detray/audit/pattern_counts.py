"""What is counted of numbers that many boxes of a split have in common, for the rules of patterns."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from detray.arrays import Flags, Floats, Ints
from detray.audit import tally
from detray.audit.view import NO_ID, View

COLUMNS = ("x", "y", "x2", "y2", "width", "height")
PAIRS = ((3, 0), (2, 1), (1, 0), (3, 2), (2, 0), (3, 1), (4, 0), (5, 1), (5, 0), (4, 1))
"""Numbers of a box of which one may be a copy of the other, as places in `COLUMNS`: the copy first."""

SMALL = 32.0**2
"""px²: COCO's evaluation takes objects below it for small."""

VALUES = 16
"""Classes that copied values are counted in: a copy of what varies falls into many."""

MAX_FILL = 0.01
"""Of a box: less than this no mask fills."""

STATED, SPREAD, BOTH, NEITHER = range(4)
"""In which order of corners a box has an area: as stated, or as x, x2, y, y2."""


def of_patterns(view: View) -> Iterator[pa.Table]:
    """The tallies.

    ====================  ==================================================================
    copies                boxes of which two numbers are equal; key: place in `PAIRS` times 2 (plus 1 where they are
                          equal as shares of the image) times `VALUES` plus the class of the value
    judged_copies         boxes that are looked at
    little_area           objects whose stated area is below `MAX_FILL` of the box's
    made_small            objects that are small for COCO's evaluation by their stated area alone
    corner_order          boxes; key `STATED` to `NEITHER`
    first_id              images; key: the lowest annotation id, 2 where it is another than 0 and 1
    far, turned           images as `View.reaches_far` and `View.is_turned`
    ====================  ==================================================================
    """
    rows = np.flatnonzero(view.has_box & ((view.width != 0) | (view.height != 0)))
    x, y, width, height = (side[rows] for side in (view.x, view.y, view.width, view.height))
    yield tally.count_all("judged_copies", np.zeros(len(rows), np.int64))
    numbers = (x, y, x + width, y + height, width, height)
    yield _copies(numbers, 0)
    sizes = view.image_sizes(rows)
    yield _copies(tuple(side / sizes[:, place % 2] for place, side in enumerate(numbers)), 1)
    stated, spread = (width > 0) & (height > 0), (y > x) & (y + height > x + width)
    order = np.where(stated, np.where(spread, BOTH, STATED), np.where(spread, SPREAD, NEITHER))
    yield tally.count_all("corner_order", order.astype(np.int64))
    sides = view.width * view.height
    little = view.is_object & (view.areas > 0) & (view.areas < MAX_FILL * sides)
    yield tally.count_all("little_area", _zeros(little))
    made_small = view.is_object & (view.areas > 0) & (view.areas < SMALL) & (sides >= SMALL)
    yield tally.count_all("made_small", _zeros(made_small))
    held = np.flatnonzero((view.image_of >= 0) & (view.annotation_ids != NO_ID))
    lowest = np.full(view.images.num_rows, np.iinfo(np.int64).max)
    np.minimum.at(lowest, view.image_of[held], view.annotation_ids[held])
    lowest = lowest[lowest != np.iinfo(np.int64).max]
    yield tally.count_all("first_id", np.where((lowest == 0) | (lowest == 1), lowest, 2))
    yield tally.count_all("far", _zeros(view.reaches_far))
    yield tally.count_all("turned", _zeros(view.is_turned))


def _copies(numbers: tuple[Floats, ...], kind: int) -> pa.Table:
    """Equal numbers but 0; those of a diagonal (x = y and x2 = y2) are none."""
    diagonal = _same(numbers[0], numbers[1]) & _same(numbers[2], numbers[3])
    keys = []
    for place, (copy, of) in enumerate(PAIRS):
        equal = _same(numbers[copy], numbers[of]) & (numbers[of] != 0)
        if place in (2, 3):
            equal &= ~diagonal
        values = numbers[of][equal] * (997 if kind else 1)
        keys.append((2 * place + kind) * VALUES + np.floor(values).astype(np.int64) % VALUES)
    return tally.count_all("copies", np.concatenate(keys))


def _same(one: Floats, other: Floats) -> Flags:
    return np.abs(one - other) <= 1e-6 * np.abs(other)


def _zeros(flags: Flags) -> Ints:
    return np.zeros(np.count_nonzero(flags), np.int64)

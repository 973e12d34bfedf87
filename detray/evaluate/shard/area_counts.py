"""Boxes that their stated area puts into another size range than they are of."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Flags, Floats
from detray.evaluate.protocol import Protocol

MAX_FILL, HALF = 0.01, 0.5
"""Of a box: less than the first no mask fills; less than the second nothing but a mask fills (as `constant-area`)."""
LARGE_SHARE = 0.1
"""Of the boxes, from which on it is said that they count under another size."""


class AreaCounts(msgspec.Struct, frozen=True):
    """Single boxes by size range, small, medium and large.

    Attributes:
        n: all of them.
        stated: by their area; ``sides``: by width times height.
        wrong: those of each range by ``sides`` that are of another one by an area that neither box nor mask has.
        halved: of the others that are, those with less than half of the box as area, which only a mask explains.
    """

    n: int = 0
    stated: tuple[int, ...] = (0, 0, 0)
    sides: tuple[int, ...] = (0, 0, 0)
    wrong: tuple[int, ...] = (0, 0, 0)
    halved: tuple[int, ...] = (0, 0, 0)

    @staticmethod
    def total(parts: "Sequence[AreaCounts]") -> "AreaCounts":
        """The sums."""
        names = ("stated", "sides", "wrong", "halved")
        columns = (np.array([getattr(part, name) for part in parts]).reshape(-1, 3).sum(axis=0) for name in names)
        return AreaCounts(sum(part.n for part in parts), *(tuple(column.tolist()) for column in columns))


def count_areas(annotations: pa.Table, protocol: Protocol) -> AreaCounts:
    """The counts of a shard; none where the protocol has no sizes."""
    limits = protocol.limits[1:]
    if not len(limits) or not annotations.num_rows:
        return AreaCounts()
    width, height, area = (tables.numpy(annotations, name).astype(np.float64) for name in ("width", "height", "area"))
    single = ~tables.numpy(annotations, "is_crowd") & (np.minimum(width, height) > 0)
    with np.errstate(over="ignore"):  # sides of 1e308 are larger than any range, and so is infinity
        box, area = width[single] * height[single], area[single]
    by_area, by_sides = _within(area, limits), _within(box, limits)
    moved = (by_area != by_sides).any(axis=1)
    wrong = moved & ((area > 1.01 * box + 1) | (area <= MAX_FILL * box))
    halved = moved & ~wrong & (area < HALF * box)
    of_ranges = (by_area, by_sides, by_sides & wrong[:, None], by_sides & halved[:, None])
    return AreaCounts(len(box), *(tuple(flags.sum(axis=0).tolist()) for flags in of_ranges))


def _within(area: Floats, limits: Floats) -> Flags:
    """Whether each area is of each range, ``[n, a]``; both ends count, as in pycocotools."""
    flags: Flags = (area[:, None] >= limits[:, 0]) & (area[:, None] <= limits[:, 1])
    return flags


def told_areas(split: str, counts: AreaCounts, names: Sequence[str], *, may_have_masks: bool) -> list[str]:
    """What to say where areas that are not those of the boxes leave a size without boxes, or move many.

    ``names`` are those of the size ranges.
    """
    if not counts.n:
        return []
    moved = [wrong + (0 if may_have_masks else half) for wrong, half in zip(counts.wrong, counts.halved, strict=True)]
    empty = [
        f"AP{name[0]}"
        for name, stated, sides, gone in zip(names, counts.stated, counts.sides, moved, strict=True)
        if not stated and 2 * gone >= sides > 0
    ]
    if not empty and not sum(moved) > LARGE_SHARE * counts.n:
        return []
    by_area, by_sides = (", ".join(f"{n:,}" for n in numbers) for numbers in (counts.stated, counts.sides))
    effect = f", so {' and '.join(empty)} {'has' if len(empty) == 1 else 'have'} no boxes" if empty else ""
    return [
        f"{split}: {sum(moved):,} of {counts.n:,} boxes are of another size by their area than by width times height"
        f" ({', '.join(names)}: {by_area} against {by_sides}){effect}: sizes go by the area, as in pycocotools;"
        " mend the areas"
    ]

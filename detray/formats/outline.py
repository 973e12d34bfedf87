"""Boxes around what is drawn: polygons, circles, ellipses and rectangles that are turned. All in pixels."""

import math
from collections.abc import Sequence

from detray.formats import values
from detray.formats.values import Defects

Numbers = list[float | None]
_CLOSE = 1e-9


def bounds(points: Sequence[float | None]) -> Numbers:
    """x, y, width, height around a polygon of x, y, x, y, ...; None each where a number is not known."""
    known = [value for value in points if value is not None and math.isfinite(value)]
    if len(known) < max(len(points), 2):
        return [None] * 4
    xs, ys = known[::2], known[1::2]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def around(centre: Sequence[float | None], radii: Sequence[float | None]) -> Numbers:
    """x, y, width, height around an ellipse."""
    low = [None if c is None or r is None else c - r for c, r in zip(centre, radii, strict=True)]
    return [*low, *(None if r is None else 2 * r for r in radii)]


def distance(points: Sequence[float | None]) -> float | None:
    """Between two points, x, y, x, y."""
    x, y, x2, y2 = points
    return None if x is None or y is None or x2 is None or y2 is None else math.hypot(x2 - x, y2 - y)


def turned(box: Sequence[float | None], degrees: float, about: Sequence[float | None]) -> Numbers:
    """The corners x, y, x, y, ... of x, y, width, height, turned clockwise about a point; None each if not known."""
    x, y, width, height, x0, y0 = (*box, *about)
    if x is None or y is None or width is None or height is None or x0 is None or y0 is None:
        return [None] * 8
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    found: Numbers = []
    for right, down in corners:
        dx, dy = right - x0, down - y0
        found += [x0 + dx * cosine - dy * sine, y0 + dx * sine + dy * cosine]
    return found


def points(value: object, field: str, defects: Defects) -> Numbers:
    """The numbers of a list of pairs, [[x, y], ...], None, noted, for what is none; empty where it is no such list."""
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        defects.note("wrong-type", field, value)
        return []
    return [values.number(side, f"{field}[{place}]", defects) for place, pair in enumerate(value) for side in pair]


def cut(points: Sequence[float], box: Sequence[float]) -> list[float] | None:
    """The points x, y, x, y, ... of a polygon moved into x, y, width, height; None where they do not span it."""
    low, high = box[:2], (box[0] + box[2], box[1] + box[3])
    found = [min(max(value, low[place % 2]), high[place % 2]) for place, value in enumerate(points)]
    for axis in (0, 1):
        along = found[axis::2]
        if abs(min(along) - low[axis]) > _CLOSE or abs(max(along) - high[axis]) > _CLOSE:
            return None
    return found


def redrawn(points: Sequence[float], box: Sequence[float]) -> list[float]:
    """A polygon that x, y, width, height bound: `cut` to them, else their corners."""
    x, y, width, height = box
    return cut(points, box) or [x, y, x + width, y, x + width, y + height, x, y + height]

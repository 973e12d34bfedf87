"""Numbers as coordinates of small vector plots; what is drawn of them stands in the templates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats

SIZE = 100.0
"""Width and height of a plot's own coordinates."""
_SEEN = 0.25
"""How far a line may be from its points, in those coordinates: under half a pixel of a plot on the page."""


@dataclass(frozen=True)
class Axis:
    """Maps values from ``low``..``high`` to 0..`SIZE`."""

    low: float
    high: float

    def at(self, value: float) -> float:
        span = self.high - self.low
        return round((value - self.low) / span * SIZE, 2) if span else SIZE / 2


UNIT = Axis(0.0, 1.0)


def polyline(xs: Sequence[float], ys: Sequence[float | None], x: Axis = UNIT, y: Axis = UNIT) -> str:
    """The points of an SVG polyline, y upward; those without a value, and those that nobody would see, are left out."""
    points = np.array([(x.at(a), SIZE - y.at(b)) for a, b in zip(xs, ys, strict=True) if b is not None])
    return " ".join(f"{round(a, 1):g},{round(b, 1):g}" for a, b in thinned(points.reshape(-1, 2), _SEEN))


def thinned(points: Floats, tolerance: float) -> Floats:
    """The fewest points of a line ``[k, 2]`` that Douglas and Peucker's algorithm keeps.

    None of those left out lies further than ``tolerance`` from what is drawn.
    """
    if len(points) < 3:
        return points
    kept = np.zeros(len(points), bool)
    kept[[0, -1]] = True
    parts = [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        start, way = points[first], points[last] - points[first]
        between = points[first + 1 : last] - start
        length = float(np.hypot(*way))
        away = np.abs(between @ np.array([-way[1], way[0]])) / length if length else np.hypot(*between.T)
        furthest = int(np.argmax(away))
        if away[furthest] > tolerance:
            middle = first + 1 + furthest
            kept[middle] = True
            parts += [(first, middle), (middle, last)]
    return points[kept]


def cells(shares: Floats, depths: int) -> list[str]:
    """SVG paths of a map ``[n, n]`` of shares, row 0 at the top: one a depth of colour, the palest first.

    The deepest is for the largest share; cells without a share are in none.
    """
    side = SIZE / len(shares)
    most = float(shares.max(initial=0.0))
    depth = np.ceil(shares / most * depths).astype(int) if most else np.zeros(shares.shape, int)
    square = f"h{side:g}v{side:g}h{-side:g}z"
    return [
        "".join(f"M{column * side:g} {row * side:g}{square}" for row, column in np.argwhere(depth == level))
        for level in range(1, depths + 1)
    ]


def covering(values: Sequence[float | None], *, least: float = 0.0) -> Axis:
    """An axis from 0 (or below) to just over the largest of ``values``, and to ``least`` at least."""
    known = [value for value in values if value is not None]
    return Axis(min([0.0, *known]), max([least, *known]) * 1.05 or 1.0)


def around(values: Sequence[float | None]) -> Axis:
    """An axis of the range of ``values``, and a little more on either side."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - margin if low < 0 or low > margin else 0.0, high + margin)


def symmetric(values: Sequence[float | None], *, least: float) -> Axis:
    """An axis with 0 in its middle that holds all ``values``, and reaches ``least`` at least."""
    reach = max([least, *(abs(value) for value in values if value is not None)]) * 1.08
    return Axis(-reach, reach)

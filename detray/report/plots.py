"""Numbers as coordinates of small vector plots; what is drawn of them stands in the templates."""

from collections.abc import Sequence
from dataclasses import dataclass

SIZE = 100.0
"""Width and height of a plot's own coordinates."""


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
    """The points of an SVG polyline, y upward; points without a value are left out."""
    return " ".join(f"{x.at(a):g},{SIZE - y.at(b):g}" for a, b in zip(xs, ys, strict=True) if b is not None)


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

"""AP of a class over the size of its boxes, and how many boxes there are of each size."""

import re

from detray.report.plots import SIZE, Axis, polyline
from detray.report.reader import Reader, Row
from detray.report.sections.common import Content, Evaluation
from detray.report.sections.evaluation import by_start

ENOUGH = 10
"""Boxes from which AP is said in words."""
APART = 0.05
"""Difference of AP that is said in words."""

_SLICE = "size"
_TOPS = (0.1, 0.25, 0.5)  # where the axis may end, or else at 1


def cells(reader: Reader, evaluation: Evaluation) -> dict[int, dict[str, Row]]:
    """The slices by size of each class; empty where ``evaluate.slices`` does not name the size."""
    found: dict[int, dict[str, Row]] = {}
    for row in reader.rows("slices", evaluation.filter):
        if row["slice"] == _SLICE:
            found.setdefault(row["category_id"], {})[row["value"]] = row
    return found


def sizes(every: dict[int, dict[str, Row]]) -> list[str]:
    """All intervals of sizes, the smallest first."""
    return sorted({value for row in every.values() for value in row}, key=by_start)


def plot(found: dict[str, Row], values: list[str]) -> Content | None:
    """Bars of the boxes and points of AP, one for each of ``values``, and what they say; None without boxes."""
    boxes = [found[value]["n_ground_truth"] or 0 if value in found else 0 for value in values]
    if not any(boxes):
        return None
    aps = [found[value]["ap"] if n else None for value, n in zip(values, boxes, strict=True)]
    largest = max(max(boxes) / sum(boxes), *(ap for ap in aps if ap is not None), 0.0)
    top = next((top for top in _TOPS if top >= largest), 1.0)
    wide, y = SIZE / len(values), Axis(0.0, top)
    centres = Axis(-0.5, len(values) - 0.5)
    bars = "".join(
        f"M{k * wide + 1:.1f} {SIZE:g}v{-y.at(n / sum(boxes)):.1f}h{wide - 2:.1f}V{SIZE:g}z"
        for k, n in enumerate(boxes)
        if n
    )
    return {
        "bars": bars,
        "line": polyline(range(len(values)), aps, centres, y),
        "points": [
            {"x": centres.at(k), "y": SIZE - y.at(ap), "few": n < ENOUGH, "ap": ap, "n": n, "value": words(value)}
            for k, (ap, n, value) in enumerate(zip(aps, boxes, values, strict=True))
            if ap is not None
        ],
        "top": top,
        "ticks": _ticks(values),
        "sentence": _sentence(aps, boxes, values),
    }


def _ticks(values: list[str]) -> list[tuple[float, str]]:
    """Where every second interval begins, and its size, px: more would touch."""
    starts = [re.search(r"[\d.]+", value) for value in values]
    return [(round(SIZE * k / len(values), 1), start[0]) for k, start in enumerate(starts) if start and k % 2]


def _sentence(aps: list[float | None], boxes: list[int], values: list[str]) -> str:
    known = [(ap, n, value) for ap, n, value in zip(aps, boxes, values, strict=True) if ap is not None and n >= ENOUGH]
    if not known:
        return f"under {ENOUGH} boxes of each size"
    low, high = min(known), max(known)
    if len(known) == 1:
        return f"{low[1]:,} of {sum(boxes):,} boxes have {words(low[2])}"
    if high[0] - low[0] < APART:
        return f"AP is alike on all sizes with {ENOUGH} boxes or more"
    return f"AP {low[0]:.2f} at {words(low[2])} ({low[1]:,} boxes), {high[0]:.2f} at {words(high[2])}"


def words(value: str) -> str:
    """An interval of sizes as one says it: ``32 to 64 px``."""
    ends = re.fullmatch(r"\[([\d.]+), ([\d.]+|inf)\)(.*)", value)
    if not ends:
        return value
    low, high, unit = ends.groups()
    return f"{low}{unit} and more" if high == "inf" else f"{low} to {high}{unit}"

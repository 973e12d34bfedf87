"""One box stands around several boxes of the same class.

Failure: a group was drawn as one object beside its members. A detector cannot give both; the group box is missed,
or learned instead of the objects. COCO marks such regions with iscrowd, Open Images with IsGroupOf.
Number: boxes of the class and annotator in the image that lie within it (`min_inside` of their area, each at most half
its size), at least `min_members`, and the box around these is at least `min_span` of its area: a person in front of
others holds some, but not all over. Of an image, class and annotator only the 32 largest boxes are looked at.
Source: COCO's iscrowd and Open Images' IsGroupOf.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import SUSPECT, Hits, Limits, RowRule, Threshold
from detray.audit.text import integer, join
from detray.audit.view import View

MAX_LOOKED_AT = 32


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero(view.cell_sizes > limits["min_members"])
    area, cells = view.width[rows] * view.height[rows], view.drawn_cells[rows]
    order = np.lexsort((view.annotation_rows[rows], -area, cells))
    rows, area, cells = rows[order], area[order], cells[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    n = np.diff(np.append(starts, len(cells)))
    rank = np.arange(len(cells)) - np.repeat(starts, n)
    # sorted by falling area: what a box can hold comes after it, from the first that is half its size
    candidates = np.flatnonzero((rank < MAX_LOOKED_AT) & (np.repeat(n, n) - rank > limits["min_members"]))
    after = np.repeat(starts + n, n)[candidates] - candidates - 1
    holder = np.repeat(candidates, after)
    member = holder + 1 + np.arange(len(holder)) - np.repeat(np.cumsum(after) - after, after)
    small = area[member] <= area[holder] / 2
    holder, member = holder[small], member[small]
    outer, inner = view.boxes[rows[holder]], view.boxes[rows[member]]
    wide = np.minimum(outer[:, 0] + outer[:, 2], inner[:, 0] + inner[:, 2]) - np.maximum(outer[:, 0], inner[:, 0])
    high = np.minimum(outer[:, 1] + outer[:, 3], inner[:, 1] + inner[:, 3]) - np.maximum(outer[:, 1], inner[:, 1])
    inside = (wide > 0) & (high > 0) & (wide * high >= limits["min_inside"] * area[member])
    held = np.bincount(holder[inside], minlength=len(rows))
    spanned = _span(holder[inside], inner[inside], len(rows))
    found = np.flatnonzero((held >= limits["min_members"]) & (spanned >= limits["min_span"] * area))
    return [Hits(rows[found], observed=join(integer(held[found]), " boxes of its class within it"))]


def _span(holder: np.ndarray, inner: np.ndarray, n: int) -> np.ndarray:
    """Area of the box around the boxes ``inner`` ``[k, 4]`` of each of ``n`` holders, ``[n]``, px²."""
    low, high = np.full((n, 2), np.inf), np.full((n, 2), -np.inf)
    np.minimum.at(low, holder, inner[:, :2])
    np.maximum.at(high, holder, inner[:, :2] + inner[:, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=1))


RULE = RowRule(
    code="group-box",
    family="relation",
    severity=SUSPECT,
    scope="annotation",
    problem="the box stands around several boxes of its class",
    expected="one box for each object, or a crowd region",
    fix="drop the box, or mark it as a crowd (iscrowd: 1)",
    doc=__doc__,
    thresholds=(
        Threshold("min_members", 3, "boxes", 2, 1e6, "from this many boxes within it a box is one of a group"),
        Threshold("min_inside", 0.9, "of the area", 0.1, 1.0, "a box lies within another from this share of its area"),
        Threshold("min_span", 0.6, "of the area", 0.0, 1.0, "members reach over this share of a group's box"),
    ),
    check=_check,
)

"""A box is of quite another size than the boxes of the same class around it.

Failure: a slip of the mouse, a box around a whole group, or one of another class; among its neighbours it shows
where the class's spread over the data set would hide it.
Number: |log area - median| over the spread, among at least `min_neighbours` boxes of that class in that image, at
least `max_deviations`. The spread is 1.4826 MAD, at least half an octave of the side's length.
Source: median absolute deviation as an outlier test: Leys et al., J. Exp. Soc. Psychol. 49 (2013).
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import SUSPECT, Hits, Limits, RowRule, Threshold
from detray.audit.text import join, number
from detray.audit.view import View

MIN_SPREAD = 1.0  # octaves of area


def check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero(view.is_object & (view.image_of >= 0))
    cells = view.image_of[rows] * len(view.class_ids) + view.class_codes[rows]
    n = np.bincount(cells) if len(view.class_ids) * len(view.sizes) <= 1 << 24 else None
    if n is None:
        _, back, counts = np.unique(cells, return_inverse=True, return_counts=True)
        enough = counts[back] >= limits["min_neighbours"]
    else:
        enough = n[cells] >= limits["min_neighbours"]
    rows, cells = rows[enough], cells[enough]
    if not len(rows):
        return []
    size = view.log_sides[rows].sum(axis=1)
    _, group = np.unique(cells, return_inverse=True)
    middle = medians(group, size)
    deviation = np.abs(size - middle[group])
    spread = np.maximum(1.4826 * medians(group, deviation), MIN_SPREAD)
    far = np.flatnonzero(deviation >= limits["max_deviations"] * spread[group])
    found = rows[far]
    usual = np.exp2(middle[group[far]] / 2)
    return [
        Hits(
            found,
            observed=join("side of ", number(np.exp2(size[far] / 2), 1), " px"),
            expected=join("about ", number(usual, 1), " px, as the others of its class in the image"),
        )
    ]


def medians(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The median of ``values`` in each group; groups are numbered from 0 without gaps."""
    order = np.lexsort((values, group))
    n = np.bincount(group)
    start = np.cumsum(n) - n
    ordered = values[order]
    return (ordered[start + (n - 1) // 2] + ordered[start + n // 2]) / 2


RULE = RowRule(
    code="neighbour-outlier",
    family="geometry",
    severity=SUSPECT,
    scope="annotation",
    problem="the box is of another size than its neighbours of the same class",
    fix="look at it: draw it again, or give it its class",
    doc=__doc__,
    thresholds=(
        Threshold("max_deviations", 5.0, "spreads", 2.0, 1000.0, "from this many spreads a box is an outlier"),
        Threshold("min_neighbours", 8, "boxes", 4, 1e6, "fewer boxes of the class in the image are not judged"),
    ),
    check=check,
)

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
    rows = np.flatnonzero(view.cell_sizes >= limits["min_neighbours"])
    if not len(rows):
        return []
    size = view.log_width[rows] + view.log_height[rows]
    _, group = np.unique(view.cells[rows], return_inverse=True)
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

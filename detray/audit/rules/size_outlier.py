"""A box is of quite another size than its class.

Failure: a slip of the mouse, a lost digit, a box of another class: one huge or tiny box weighs as much as any other,
and a regression target far out makes a large loss.
Number: |log side - median| over the spread, in the class and split, at least `max_deviations`, from `min_boxes` boxes
on. The spread is 1.4826 times the median absolute deviation, at least a quarter of an octave, so it is not moved by
the outliers and log-normal sizes, as those of objects are, give none. Confidence by Chebyshev's inequality.
Source: Leys et al., "Detecting outliers: do not use standard deviation around the mean, use absolute deviation around
the median", J. Exp. Soc. Psychol. 49 (2013).
"""

import numpy as np
import pyarrow as pa

from detray.audit.rule import SUSPECT, OutlierRule, Threshold
from detray.audit.text import join, number
from detray.audit.view import View


def observed(view: View, rows: np.ndarray) -> pa.Array:
    return join("side of ", number(np.exp2((view.log_width[rows] + view.log_height[rows]) / 2), 1), " px")


def expected(middles: np.ndarray) -> pa.Array:
    return join("about ", number(np.exp2(middles), 1), " px, the median of its class")


RULE = OutlierRule(
    code="size-outlier",
    family="geometry",
    severity=SUSPECT,
    scope="annotation",
    problem="the box is of another size than its class",
    fix="look at it: draw it again, or give it its class",
    doc=__doc__,
    thresholds=(
        Threshold("max_deviations", 8.0, "spreads", 3.0, 1000.0, "from this many spreads a box is an outlier"),
        Threshold("min_boxes", 30, "boxes", 5, 1e9, "classes with fewer are not judged"),
    ),
    measure="size",
    observed=observed,
    expected_of=expected,
)

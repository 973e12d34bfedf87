"""A box is of quite another size than its class.

Failure: a slip of the mouse, a lost digit, a box of another class: one huge or tiny box weighs as much as any other,
and a regression target far out makes a large loss.
Number: |log side - median| over the spread, in the class and split, at least `max_deviations`, from `min_boxes` boxes
on. The spread is 1.4826 times the median absolute deviation, at least a quarter of an octave, so it is not moved by
the outliers, and log-normal sizes give none. And sizes that fall off as a power, through the class's 95% quantile,
give at most `max_expected` boxes so far out in a class of its number, so such tails give none either; the confidence
is one less that number.
Source: Leys et al., "Detecting outliers: do not use standard deviation around the mean, use absolute deviation around
the median", J. Exp. Soc. Psychol. 49 (2013); Weissman, "Estimation of parameters and large quantiles", JASA 73 (1978).
"""

import numpy as np
import pyarrow as pa

from detray.audit.rule import SUSPECT, OutlierRule, Threshold
from detray.audit.text import join, number
from detray.audit.view import View


def observed(view: View, rows: np.ndarray) -> pa.Array:
    """The sides of squares as large as some boxes, as text ``[k]``."""
    return join("side of ", number(np.exp2((view.log_width[rows] + view.log_height[rows]) / 2), 1), " px")


def _expected(view: View, rows: np.ndarray, middles: np.ndarray) -> pa.Array:
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
        Threshold("max_deviations", 6.0, "spreads", 3.0, 1000.0, "from this many spreads a box is an outlier"),
        Threshold("max_expected", 0.02, "boxes", 1e-9, 10.0, "so few boxes would be so far out by chance"),
        Threshold("min_boxes", 30, "boxes", 5, 1e9, "classes with fewer are not judged"),
    ),
    measure="size",
    observed=observed,
    expected_of=_expected,
)

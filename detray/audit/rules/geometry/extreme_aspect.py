"""A box is far longer and thinner than its class.

Failure: a corner was set wrong, or two coordinates swapped; no anchor has such a shape, and one pixel of jitter takes
half of the box away.
Number: the longer side over the shorter at least `min_ratio`, and |log aspect - median| over the spread of the class
and split at least `max_deviations`, from `min_boxes` boxes on. The spread is 1.4826 times the median absolute
deviation, at least a quarter of an octave. And an exponential tail through the class's 95% quantile gives at most
`max_expected` boxes so far out; the confidence is one less their number.
Source: Leys et al., J. Exp. Soc. Psychol. 49 (2013); Weissman, JASA 73 (1978); anchors have aspects of 1/2 to 2 (Lin
et al., ICCV 2017).
"""

import numpy as np
import pyarrow as pa

from detray.audit.rule import SUSPECT, OutlierRule, Threshold
from detray.audit.rules.sides import sides
from detray.audit.text import join, number
from detray.audit.view import View


def _expected(view: View, rows: np.ndarray, middles: np.ndarray) -> pa.Array:
    return join("width about ", number(np.exp2(middles)), " times the height, the median of its class")


RULE = OutlierRule(
    code="extreme-aspect",
    family="geometry",
    severity=SUSPECT,
    scope="annotation",
    problem="the box is far longer and thinner than its class",
    fix="look at it: draw it again, or drop it",
    doc=__doc__,
    thresholds=(
        Threshold("max_deviations", 6.0, "spreads", 3.0, 1000.0, "from this many spreads a box is an outlier"),
        Threshold("max_expected", 0.02, "boxes", 1e-9, 10.0, "so few boxes would be so far out by chance"),
        Threshold("min_ratio", 10.0, "times", 1.0, 1e9, "the longer side over the shorter"),
        Threshold("min_boxes", 30, "boxes", 5, 1e9, "classes with fewer are not judged"),
    ),
    measure="aspect",
    observed=sides,
    expected_of=_expected,
)

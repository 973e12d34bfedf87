"""A box is of quite another size than the boxes of the same class around it.

Failure: a slip of the mouse, a box around a whole group, or one of another class; among its neighbours it shows
where the class's spread over the data set would hide it.
Number: the logarithm of the side against the median of the boxes of that class in that image, by one annotator, of
which there are at least 8. It is judged against all such differences in the class and split, as size-outlier judges
sizes: at least `max_deviations` spreads off, and where a power-law tail gives at most `max_expected` boxes; from
`min_boxes` on. The spread of eight boxes alone would flag one in a hundred of any class whose sizes differ much.
Source: median absolute deviation as an outlier test: Leys et al., J. Exp. Soc. Psychol. 49 (2013); Weissman, JASA 73
(1978).
"""

import numpy as np
import pyarrow as pa

from detray.audit.rule import SUSPECT, OutlierRule, Threshold
from detray.audit.rules.geometry import size_outlier
from detray.audit.text import join, number
from detray.audit.view import View


def _expected(view: View, rows: np.ndarray, middles: np.ndarray) -> pa.Array:
    usual = (view.log_width[rows] + view.log_height[rows]) / 2 - view.beside[rows]
    return join("about ", number(np.exp2(usual), 1), " px, as the others of its class in the image")


RULE = OutlierRule(
    code="neighbour-outlier",
    family="geometry",
    severity=SUSPECT,
    scope="annotation",
    problem="the box is of another size than its neighbours of the same class",
    fix="look at it: draw it again, or give it its class",
    doc=__doc__,
    thresholds=(
        *(one for one in size_outlier.RULE.thresholds if one.name != "min_boxes"),
        Threshold("min_boxes", 12, "boxes", 8, 1e9, "classes with fewer such differences are not judged"),
    ),
    measure="beside",
    observed=size_outlier.observed,
    expected_of=_expected,
)

"""The stated area does not fit the box.

Failure: COCO's evaluation puts boxes into small, medium and large by this field, so the box counts under the wrong
size; an area of 0 puts it under small whatever it is.
Number: area above (width + 1) (height + 1) `max_ratio` px², or at or below 0 where the box has an area. A smaller
area is no fault: it is that of a mask.
Source: pycocotools/cocoeval.py, evaluateImg ('_ignore' by g['area']); detectron2's conversion writes box areas.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import WARNING, Hits, Limits, RowRule, Threshold
from detray.audit.text import join, number
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    width, height = view.width, view.height
    too_large = view.areas > (width + 1) * (height + 1) * limits["max_ratio"]  # some count pixels, ends included
    rows = np.flatnonzero((view.shorter_side > 0) & (too_large | (view.areas <= 0)))
    return [
        Hits(
            rows,
            observed=join(number(view.areas[rows]), " px²"),
            expected=join("at most ", number(width[rows] * height[rows]), " px²"),
        )
    ]


RULE = RowRule(
    code="area-mismatch",
    family="geometry",
    severity=WARNING,
    scope="annotation",
    problem="the stated area does not fit the box",
    fix="write the area of the mask, or width times height",
    doc=__doc__,
    thresholds=(Threshold("max_ratio", 1.01, "times", 1.0, 1e6, "an area up to this times the box's is rounding"),),
    check=_check,
)

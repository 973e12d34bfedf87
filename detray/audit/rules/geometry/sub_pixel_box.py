"""A box is thinner than one pixel.

Failure: nothing of the object can be seen in it; after the resize to the model's input it is thinner still, no
anchor reaches it, and in evaluation an error of one pixel loses it.
Number: the smaller of width and height, above 0 and below `min_side` px.
Source: VisDrone and DOTA annotations hold such boxes from clicks; pixels are the unit of COCO boxes, which are
given "to within a tenth of a pixel" (https://cocodataset.org/#format-data).
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import WARNING, Hits, Limits, RowRule, Threshold
from detray.audit.rules.sides import sides
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero((view.shorter_side > 0) & (view.shorter_side < limits["min_side"]))
    return [Hits(rows, observed=sides(view, rows))]


RULE = RowRule(
    code="sub-pixel-box",
    family="geometry",
    severity=WARNING,
    scope="annotation",
    problem="the box is thinner than a pixel",
    expected="both sides at least one pixel",
    fix="draw the box again, or drop the annotation; if all are like this, the boxes are normalised",
    doc=__doc__,
    thresholds=(Threshold("min_side", 1.0, "px", 0.0, 1.0, "sides below it are sub-pixel"),),
    check=_check,
)

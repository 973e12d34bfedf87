"""A box is so small that a detector can hardly learn it.

Failure: after the resize to the model's input there is less than a pixel of it; one pixel of jitter halves its IoU.
It is counted as missed, and the anchors that lie over it are trained as background.
Number: the smaller of width and height, at least 1 px and below `min_side` px. Thinner ones are sub-pixel-box.
Source: COCO's small objects end at 32 x 32 px; VisDrone holds boxes of 1 px.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import SUSPECT, Hits, Limits, RowRule, Threshold
from detray.audit.rules.sides import sides
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero((view.shorter_side >= 1) & (view.shorter_side < limits["min_side"]))
    return [Hits(rows, observed=sides(view, rows))]


RULE = RowRule(
    code="tiny-box",
    family="geometry",
    severity=SUSPECT,
    scope="annotation",
    problem="the box is tiny",
    fix="check that it shows an object; train at a larger input size or on tiles, or drop it",
    doc=__doc__,
    thresholds=(Threshold("min_side", 2.0, "px", 1.0, 1000.0, "boxes with a side below it are tiny"),),
    check=_check,
)

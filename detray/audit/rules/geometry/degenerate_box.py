"""A box has no area: its width or height is 0 or negative.

Failure: it can match no detection, so it is always missed; as a training target it makes log(width) infinite and
the loss NaN. Two stand in the public BCCD data set (BloodImage_00338 and _00343, where xmin = xmax).
Number: width and height as given; either at or below 0 px. Where a side is negative and the corners in the other order
give a box within the image, they are exchanged (swapped-corners). Crowd regions count. So do fractions of a picture
whose size is unknown.
Source: torchvision's detection models refuse such boxes ("All bounding boxes should have positive height and
width"); BCCD (https://github.com/Shenggan/BCCD_Dataset).
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from detray.audit.rule import ERROR, Hits, Limits, RowRule
from detray.audit.rules.defects import noted
from detray.audit.rules.sides import EXCHANGED, sides
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    flat = view.has_box & (view.shorter_side <= 0)
    hits = []
    for wrong, share in ((flat & ~view.is_exchanged, None), (view.is_exchanged, EXCHANGED)):
        rows = np.flatnonzero(wrong)
        shares = None if share is None else pa.repeat(pa.scalar(share), len(rows))
        hits.append(Hits(rows, observed=sides(view, rows), share=shares))
    return [*hits, *noted(view, "degenerate-box", ERROR)]


RULE = RowRule(
    code="degenerate-box",
    family="geometry",
    severity=ERROR,
    scope="annotation",
    problem="the box has no area",
    expected="width and height above 0 px",
    fix="draw the box again, or drop the annotation",
    doc=__doc__,
    check=_check,
)

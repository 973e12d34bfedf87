"""A box lies wholly outside its image.

Failure: there is nothing in it. It is a target that no detection can meet, and a sign of wrong coordinates or of
a box that hangs on the wrong image.
Number: x at or beyond the stated width, y at or beyond the height, or the right or lower edge at or before 0.
Of a picture whose size is unknown fractions are judged alike, against 1.
Source: COCO's data format: box coordinates are measured from the top left image corner and are 0-indexed.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import ERROR, Hits, Limits, RowRule
from detray.audit.rules.defects import noted
from detray.audit.rules.sides import turned
from detray.audit.text import join, number
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero(view.is_outside & (view.shorter_side > 0))  # the others are degenerate-box
    sizes = view.image_sizes(rows)
    size = join(number(sizes[:, 0]), " x ", number(sizes[:, 1]))
    at = join("at ", number(view.x[rows]), ", ", number(view.y[rows]), " of ", size)
    return [Hits(rows, observed=at, share=turned(view, rows)), *noted(view, "fully-outside", ERROR)]


RULE = RowRule(
    code="fully-outside",
    family="geometry",
    severity=ERROR,
    scope="annotation",
    problem="the box lies wholly outside the image",
    expected="the box within the image",
    fix="check which image and which scale the box belongs to, or drop it",
    doc=__doc__,
    check=_check,
)

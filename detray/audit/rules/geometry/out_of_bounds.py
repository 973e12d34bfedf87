"""A box reaches over the edge of its image.

Failure: augmentation libraries refuse or clip it, crops shift it, and the part outside is nothing that a model
can learn; many of them mean that boxes and images are not at the same scale.
Number: the furthest that any side lies outside the stated width and height, px. Up to `tolerance` px is rounding
and only noted. Boxes that lie wholly outside are left to fully-outside. Fractions of a picture whose size is unknown
are judged against 1, and up to 0.005 is rounding.
Source: albumentations' check_bboxes; Pascal VOC counts pixels from 1, so xmax = width is inside.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import INFO, WARNING, Hits, Limits, RowRule, Threshold
from detray.audit.rules.defects import noted
from detray.audit.rules.sides import turned
from detray.audit.text import join, number
from detray.audit.view import View

ROUNDING = 1e-6  # px: what float arithmetic alone adds to x + width


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    over = view.overhang
    rows = np.flatnonzero((over > ROUNDING) & ~view.is_outside)
    sizes = view.image_sizes(rows)
    return [
        Hits(
            rows,
            observed=join(number(over[rows]), " px outside ", number(sizes[:, 0]), " x ", number(sizes[:, 1])),
            severity=np.where(over[rows] > limits["tolerance"], WARNING, INFO).astype(np.int8),
            share=turned(view, rows),
        ),
        *noted(view, "out-of-bounds", WARNING),
    ]


RULE = RowRule(
    code="out-of-bounds",
    family="geometry",
    severity=WARNING,
    scope="annotation",
    problem="the box reaches over the edge of the image",
    expected="the box within the image",
    fix="clip the box to the image; if many do, check the image size that the boxes were drawn at",
    doc=__doc__,
    thresholds=(Threshold("tolerance", 0.5, "px", 0.0, 1000.0, "up to this far outside is rounding"),),
    check=_check,
)

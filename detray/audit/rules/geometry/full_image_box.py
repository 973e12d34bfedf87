"""A box covers the whole image.

Failure: such boxes come from image labels turned into boxes, or from a default in the drawing tool; they teach the
model that everything is the object.
Number: the smaller of width and height, as a share of the image's, at least `min_share`. Crowd regions are left out.
Source: FiftyOne's and Roboflow's data set checks; conversions of classification data sets.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import SUSPECT, Hits, Limits, RowRule, Threshold
from detray.audit.rules.sides import sides
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    share = limits["min_share"]
    large = (view.width >= share * view.image_width) & (view.height >= share * view.image_height) & ~view.is_crowd
    rows = np.flatnonzero(large)
    boxes, sizes = view.boxes[rows], view.image_sizes(rows)
    seen = np.minimum(boxes[:, :2] + boxes[:, 2:], sizes) - np.maximum(boxes[:, :2], 0)
    rows = rows[(seen >= share * sizes).all(axis=1)]
    return [Hits(rows, observed=sides(view, rows))]


RULE = RowRule(
    code="full-image-box",
    family="geometry",
    severity=SUSPECT,
    scope="annotation",
    problem="the box covers the whole image",
    fix="draw the object, or check that it fills the picture",
    doc=__doc__,
    thresholds=(
        Threshold("min_share", 0.99, "of the image's side", 0.5, 1.0, "from this share it is the whole image"),
    ),
    check=_check,
)

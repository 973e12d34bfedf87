"""An image has no annotation.

Failure: either it is a background image, which is fine, or its objects were never drawn, and then the model is
taught that they are background.
Number: images whose id no annotation carries.
Source: COCO has 1,021 such images in train2017; pycocotools counts every detection on them as false.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import INFO, Hits, Limits, RowRule
from detray.audit.view import NO_ID, View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    bare = ~np.isin(view.own_image_ids, view.image_ids)
    return [Hits(np.flatnonzero(bare & (view.own_image_ids != NO_ID)), "images")]


RULE = RowRule(
    code="no-annotations",
    family="image",
    severity=INFO,
    scope="image",
    problem="the image has no annotation",
    fix="look at it: annotate it, or keep it as background",
    doc=__doc__,
    check=_check,
)

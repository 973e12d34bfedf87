"""An annotation refers to an image that is not there.

Failure: the box is never used; the picture that it was drawn on counts as empty, or is gone.
Number: image_id of the annotation among the split's image ids. Annotations without image_id are missing-field.
Source: COCO's data format: annotations refer to images by id; pycocotools drops such annotations silently.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import ERROR, Hits, Limits, RowRule
from detray.audit.text import integer, join
from detray.audit.view import NO_ID, View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero((view.image_of < 0) & (view.image_ids != NO_ID))
    return [Hits(rows, observed=join("image id ", integer(view.image_ids[rows])))]


RULE = RowRule(
    code="orphan-annotation",
    family="identity",
    severity=ERROR,
    scope="annotation",
    problem="its image is not in the data set",
    expected="the id of an image of the split",
    fix="add the image entry, or drop the annotation",
    doc=__doc__,
    check=_check,
)

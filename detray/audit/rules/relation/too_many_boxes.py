"""An image holds more boxes than a detector returns.

Failure: detectors and evaluators keep a number of detections an image, 100 by default, so the rest of the boxes is
always missed and recall is capped whatever the model does.
Number: boxes of the image that are no crowd, above `max_boxes`; where several annotators drew on it, the most that one
of them drew.
Source: COCO's maxDets = 100 (an image and class); max_total_detections in TF Object Detection API's configurations.
"""

from collections.abc import Sequence

import numpy as np

from detray.arrays import Flags, Rows
from detray.audit.rule import WARNING, Hits, Limits, RowRule, Threshold
from detray.audit.text import integer, join
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    images = view.image_of[(view.image_of >= 0) & ~view.is_crowd]
    n = np.bincount(images, minlength=view.images.num_rows)
    if view.annotators:
        n = _most(view, n > limits["max_boxes"])
    rows = np.flatnonzero(n > limits["max_boxes"])
    return [Hits(rows, "images", observed=join(integer(n[rows]), " boxes"))]


def _most(view: View, judged: Flags) -> Rows:
    """The most boxes that one annotator drew on each image that is ``judged``, ``[m]``."""
    rows = np.flatnonzero((view.image_of >= 0) & ~view.is_crowd)
    rows = rows[judged[view.image_of[rows]]]
    places = len(view.annotators) + 1
    cells, n = np.unique(view.image_of[rows] * places + view.annotator_codes[rows] + 1, return_counts=True)
    most = np.zeros(len(judged), np.int64)
    np.maximum.at(most, cells // places, n)
    return most


RULE = RowRule(
    code="too-many-boxes",
    family="relation",
    severity=WARNING,
    scope="image",
    problem="the image holds more boxes than a detector returns",
    fix="raise predict.max_detections, or cut the images into tiles",
    doc=__doc__,
    thresholds=(Threshold("max_boxes", 100, "boxes", 1, 1e6, "detections that are kept an image"),),
    check=_check,
)

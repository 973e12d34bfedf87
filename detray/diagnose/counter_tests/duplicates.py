from dataclasses import replace

import numpy as np

from detray.detectors.suppress import suppress
from detray.diagnose.causes.output.duplicates import Duplicates
from detray.diagnose.counter_tests.counter_test import Claim, CounterTest
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.image_set import ImageSet

NMS_IOU = 0.5
"""The lower end of what the remedy says."""


class Suppressed(CounterTest):
    """Suppress the class's detections that overlap a better one by more than .5, and evaluate the rest."""

    cause = Duplicates.name
    measures = True
    words = f"suppression at IoU {NMS_IOU:g}"

    def remedied(self, images: ImageSet, claim: Claim) -> ImageSet:
        dt = images.dt
        own = np.flatnonzero(dt.category == claim.category)  # by image, then rank
        starts = np.flatnonzero(np.diff(dt.image[own], prepend=-1)) if len(own) else own
        keep = np.ones(len(dt), np.bool_)
        for rows in np.split(own, starts[1:]):
            box = dt.box[rows]
            corners = np.hstack([box[:, :2], box[:, :2] + box[:, 2:]])
            stay = suppress(corners, dt.score[rows], dt.category[rows], iou=NMS_IOU, across=False, top=len(rows))
            keep[rows] = False
            keep[rows[stay]] = True
        return replace(images, dt=take(dt, keep))

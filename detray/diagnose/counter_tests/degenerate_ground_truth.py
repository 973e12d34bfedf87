from dataclasses import replace

import numpy as np

from detray.diagnose.causes.ground_truth.degenerate_ground_truth import DegenerateGroundTruth
from detray.diagnose.counter_tests.counter_test import Claim, CounterTest
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.image_set import ImageSet


class FlatBoxesMended(CounterTest):
    """Evaluate with exchanged corners exchanged back, and without the boxes that have no area."""

    cause = DegenerateGroundTruth.name
    words = "boxes without area mended or dropped"

    def remedied(self, images: ImageSet, claim: Claim) -> ImageSet:
        gt = images.gt
        own = gt.category == claim.category
        size = gt.box[:, 2:]
        box = np.where(own[:, None], np.hstack([gt.box[:, :2] + np.minimum(size, 0), np.abs(size)]), gt.box)
        area = np.where(own & (size < 0).any(axis=1), box[:, 2] * box[:, 3], gt.area)
        keep = ~own | (box[:, 2:] > 0).all(axis=1)
        return replace(
            images,
            gt=take(replace(gt, box=box, area=area), keep),
            annotation_id=images.annotation_id[keep],
            annotation_row=images.annotation_row[keep],
        )

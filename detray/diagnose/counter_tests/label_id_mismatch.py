from dataclasses import replace

import numpy as np

from detray.diagnose.causes.mapping.label_id_mismatch import LabelIdMismatch
from detray.diagnose.counter_tests.counter_test import Claim, CounterTest
from detray.diagnose.observation.image_set import ImageSet


class ClassIdsMapped(CounterTest):
    """Evaluate with the class ids mapped as the diagnosis says."""

    cause = LabelIdMismatch.name
    words = "the class ids mapped"
    mends = ("own_list", "labels")

    def obstacle(self, claim: Claim) -> str | None:
        if "mapping" in claim.numbers or _stated(claim):
            return None
        return "which id the detections write for it is not known"

    def remedied(self, images: ImageSet, claim: Claim) -> ImageSet:
        if "mapping" in claim.numbers:
            return images
        category = images.dt.category
        own = np.isin(category, _stated(claim))
        return replace(images, dt=replace(images.dt, category=np.where(own, claim.category, category)))


def _stated(claim: Claim) -> list[int]:
    """Ids that another list of classes gives the class."""
    stated = claim.config.get("predict", {}).get("category_map", {})
    return [int(source) for source, target in stated.items() if target == claim.category]

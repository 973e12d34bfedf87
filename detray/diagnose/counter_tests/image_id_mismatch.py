from detray.diagnose.causes.mapping.image_id_mismatch import ImageIdMismatch
from detray.diagnose.counter_tests.counter_test import Claim, CounterTest


class ImageIdsMapped(CounterTest):
    """Evaluate with the image ids read as the diagnosis says, where it says how."""

    cause = ImageIdMismatch.name
    words = "the image ids mapped"
    mends = ("pairing",)

    def obstacle(self, claim: Claim) -> str | None:
        known = claim.numbers.get("recall_any_class_repaired") is not None
        return None if known else "which images the detections mean is not known"

from detray.diagnose.causes.output.max_detections import MaxDetections
from detray.diagnose.counter_tests.counter_test import Claim, CounterTest

_ALL = 1 << 30


class CapLifted(CounterTest):
    """Evaluate all detections, where the evaluation's cap is what cuts them."""

    cause = MaxDetections.name
    words = "the cap lifted"

    def obstacle(self, claim: Claim) -> str | None:
        return None if "beyond_cap" in claim.numbers else "the detector's own cap needs another run of it"

    def cap(self, claim: Claim) -> int:
        return _ALL

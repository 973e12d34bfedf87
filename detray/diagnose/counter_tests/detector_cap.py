from msgspec.structs import replace

from detray.diagnose.causes.output.max_detections import MaxDetections
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.model_test import Again, Before, ModelTest

TIMES = 10
MOST = 10_000
"""Detections an image that settings allow."""


class CapRaised(ModelTest):
    """Where predict.max_detections cut the list: detect again with ten times as many in a sample of the pictures."""

    cause = MaxDetections.name
    measures = True

    def again(self, claim: Claim, before: Before) -> Again | str:
        cap = before.predict.max_detections
        if claim.numbers.get("cap") != cap:
            return f"predict.max_detections is {cap}, so that the model itself cuts"
        more = min(TIMES * cap, MOST)
        return Again(replace(before.predict, max_detections=more), f"max_detections {more}")

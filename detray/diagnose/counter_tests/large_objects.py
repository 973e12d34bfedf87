from detray.diagnose.causes.training_data.large_objects import LargeObjects
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.model_test import Again, Before, ModelTest, Padded

TIMES = 2


class Smaller(ModelTest):
    """Detect again in pictures padded to twice their sides, which shows objects half as large, in a sample of them."""

    cause = LargeObjects.name
    denies = False

    def again(self, claim: Claim, before: Before) -> Again | str:
        if before.predict.tiles is not None:
            return "pictures are detected in tiles: leave these out first"
        return Again(before.predict, "pictures shown at half their size", Padded(TIMES))

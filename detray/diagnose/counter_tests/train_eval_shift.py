from detray.diagnose.causes.training_data.train_eval_shift import TrainEvalShift
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.model_test import Again, Before, ModelTest, Relit

LEAST_SHIFT = 8.0
"""Of the mean, in grey levels of 255, by which samples of the same pictures differ."""
LEAST_SCALE = 1.15
"""The same of the standard deviation, as a factor."""


class AsInTraining(ModelTest):
    """Detect again in a sample of the pictures, made as bright and as rich in contrast as those of training."""

    cause = TrainEvalShift.name
    denies = False
    needs_light = True

    def again(self, claim: Claim, before: Before) -> Again | str:
        here, there = before.light, before.light_in_training
        if here is None or there is None:
            return "needs the pictures of training"
        scale = max(here.deviation, 1.0) / max(there.deviation, 1.0)
        if abs(here.mean - there.mean) < LEAST_SHIFT and 1 / LEAST_SCALE < scale < LEAST_SCALE:
            return "the pictures are as bright and as rich in contrast as in training"
        return Again(before.predict, "brightness and contrast as in training", Relit(here, there))

from msgspec.structs import replace

from detray.diagnose.causes.output.score_threshold import ScoreThreshold
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.model_test import LOW, Again, Before, ModelTest, without


class LowerThreshold(ModelTest):
    """Where a setting cut the scores: detect again down to .01 in a sample of the pictures."""

    cause = ScoreThreshold.name
    measures = True

    def again(self, claim: Claim, before: Before) -> Again | str:
        predict = before.predict
        if predict.score_thresholds.get(before.name, predict.score_threshold) <= LOW:
            return "predict.score_threshold is low already, so that the model itself cuts"
        lower = replace(
            predict,
            score_threshold=min(predict.score_threshold, LOW),
            score_thresholds=without(predict.score_thresholds, before.name),
        )
        return Again(lower, f"score_threshold {LOW:g}")

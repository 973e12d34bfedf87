from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, tune
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.inputs import Input
from detray.diagnose.mend import MIN_GAIN

FORGOTTEN = Criterion(0.1, "AP lost against the base model: twice what a change of seed moves")
FORGOTTEN_AP50 = Criterion(0.2, "the same of AP50, which a change of seed moves by .08 (measured on a rare class)")
FORGOTTEN_SHARE = Criterion(2 / 3, "AP50 left of the base model's: a third is more than a change of seed moves")


class Forgetting(Cause):
    """The model that this one was fine-tuned from was better at the class.

    Tells: the base model's AP of the class on the same split is higher by .1, or twice as high,
    or its AP50 is higher by .2, or by .1 and a half.
    Source: catastrophic forgetting (McCloskey and Cohen, 1989; Kirkpatrick et al., 2017).
    Example: fine-tuned on night scenes, it loses `bicycle`, of which these have none.
    Remedy: freeze deeper, lower the learning rate, mix in old data.
    """

    name = "forgetting"
    group = TRAINING_DATA
    inputs = (Input.BASE_DETECTIONS,)
    explains = ("missed_objects", "no_detections")

    def judge(self, case: Case) -> Verdict | None:
        bases = case.split.inputs.base_aps
        ap, ap50 = case.result.ap, case.result.ap50
        if bases is None or ap is None or ap50 is None or case.category not in bases:
            return None
        base, base50 = bases[case.category]
        much, half = base - ap >= FORGOTTEN, base - ap >= MIN_GAIN and ap < base / 2
        much50 = base50 - ap50 >= FORGOTTEN_AP50
        third = base50 - ap50 >= FORGOTTEN and ap50 < FORGOTTEN_SHARE * base50
        if not (much or half or much50 or third):
            return None
        return Verdict(
            confidence=confidence(base - ap, FORGOTTEN, 0.4),
            d_ap=max(base - ap, 0.0),
            numbers={"base_ap": base, "base_ap50": base50, "ap": ap, "ap50": ap50},
            sentence=f"The base model had an AP of {base:.2f} (AP50 {base50:.2f}) on {case.label}, this one has"
            f" {ap:.2f} ({ap50:.2f}).",
            remedy="Freeze more of the network, lower the learning rate, and mix pictures of the class into the"
            " training data.",
            config=tune(case.name, freeze_units=[2, 4, 6], learning_rate=[3.0e-4, 1.0e-3, 3.0e-3]),
        )

from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING, Cause, Verdict, confidence, tune
from detray.diagnose.criterion import REASONED, SUITE, Criterion
from detray.diagnose.evidence.inputs import Input
from detray.diagnose.evidence.training import LEARNT_AP50

OVERFIT_GAP = Criterion(0.3, f"AP50 in training above AP50 here; a healthy model loses under .2: {SUITE}")
WIDE_GAP = Criterion(0.5, f"the same from which strong augmentation is tried before the default one: {REASONED}")


class Overfit(Cause):
    """The class is found on the training pictures and not on others.

    Tells: AP on the training split is good and far above that on the evaluated one.
    Source: the generalisation gap (Goodfellow et al., 2016, ch. 5).
    Example: 200 epochs on 50 pictures.
    Remedy: augmentation, weight decay, freeze more, stop earlier.
    """

    name = "overfit"
    group = TRAINING
    inputs = (Input.TRAINING_DETECTIONS,)
    explains = ("missed_objects", "no_detections")

    def judge(self, case: Case) -> Verdict | None:
        aps = case.training.aps
        here, here50 = case.result.ap, case.result.ap50
        if aps is None or here is None or here50 is None:
            return None
        ap, ap50 = aps
        if ap50 < LEARNT_AP50 or ap50 - here50 < OVERFIT_GAP:
            return None
        return Verdict(
            confidence=confidence(ap50 - here50, OVERFIT_GAP, 0.7),
            d_ap=max(ap - here, 0.0),
            numbers={"training_ap": ap, "training_ap50": ap50, "ap": here, "ap50": here50},
            sentence=f"{case.label} has an AP50 of {ap50:.2f} on {case.training.words} and {here50:.2f} here.",
            remedy="Augment more, raise the weight decay, freeze more of the network, or train for fewer epochs.",
            config=tune(
                case.name,
                augmentation=["strong", "default"] if ap50 - here50 >= WIDE_GAP else ["default", "strong"],
                weight_decay=[0.01, 0.1],
                freeze_units=[0, 2, 4],
            ),
        )

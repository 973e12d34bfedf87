from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING, Cause, Verdict, confidence, tune
from detray.diagnose.evidence.inputs import Input
from detray.diagnose.evidence.training import LEARNT_AP50


class Undertrained(Cause):
    """The model does not find the class on its own training pictures either.

    Tells: AP50 on the training split is low too.
    Source: underfitting, told from training and validation error (Goodfellow et al., 2016, ch. 5).
    Example: stopped after 2 of 20 epochs.
    Remedy: more epochs, another learning rate, a larger model.
    """

    name = "undertrained"
    group = TRAINING
    inputs = (Input.TRAINING_DETECTIONS,)
    explains = ("missed_objects", "no_detections", "bad_ranking", "background_confusion")

    def judge(self, case: Case) -> Verdict | None:
        aps = case.training.aps
        if aps is None:
            return None
        ap, ap50 = aps
        if ap50 >= LEARNT_AP50:
            return None
        return Verdict(
            confidence=confidence(-ap50, -LEARNT_AP50, 0.0),
            d_ap=None,
            numbers={"training_ap": ap, "training_ap50": ap50, "ap": case.given.ap},
            sentence=f"{case.label} has an AP50 of {ap50:.2f} on {case.training.words} too: it is not learnt.",
            remedy="Train longer, try other learning rates, and freeze less.",
            config=tune(case.name, learning_rate=[1.0e-3, 3.0e-3, 1.0e-2], freeze_units=[0, 1]),
        )

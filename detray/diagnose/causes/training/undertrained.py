from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING, Cause, Verdict, confidence, tune
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.boxes import SMALL_AT_INPUT
from detray.diagnose.evidence.inputs import Input
from detray.diagnose.evidence.training import LEARNT_AP50

FOUND_AS_OTHER = Criterion(0.5, "most of the missed boxes: what is found under another name is not unlearnt")
OF_TOO_LITTLE = (
    "class_imbalance",
    "few_examples",
    "train_eval_shift",
    "localization",
    "class_confusion",
    "receives_class",
)
"""What a model shows that has not learnt yet, beside what any class that is not learnt shows."""


class Undertrained(Cause):
    """The model does not find the class on its own training pictures either.

    Tells: AP50 on training pictures is low too. Where no class is learnt, or the training ended while its loss still
    fell, other things that the model does not do yet come of it.
    Source: underfitting, told from training and validation error (Goodfellow et al., 2016, ch. 5).
    Example: stopped after 2 of 20 epochs.
    Remedy: more epochs, less augmentation, another learning rate, fewer frozen units, a larger model.
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
        course, others = case.split.inputs.course, list(case.training.class_ap50s.values())
        early = course is not None and course.is_early
        whole = case.training.nothing_learnt
        confused = int(case.confusion.boxes.sum())
        if not whole and not early and confused >= FOUND_AS_OTHER * max(int(case.result.missed.sum()), 1):
            return None
        learnt = sum(one >= LEARNT_AP50 for one in others)
        told = f"{learnt} of {len(others)} classes are (the best has {max(others, default=0.0):.2f})"
        if course is not None and early:
            told += f", and {course.words}"
        return Verdict(
            confidence=confidence(-ap50, -LEARNT_AP50, 0.0),
            d_ap=None,
            numbers={
                "training_ap": ap,
                "training_ap50": ap50,
                "ap": case.given.ap,
                "classes_learnt": learnt,
                "classes": len(others),
                "epochs": None if course is None else len(course.losses),
                "last_fall": None if course is None else course.fall,
            },
            sentence=f"{case.label} has an AP50 of {ap50:.2f} on {case.training.words} too: it is not learnt; {told}.",
            explains=_explained(case, is_early=early, is_whole=whole),
            remedy="Train longer, with less augmentation, at other learning rates, and freeze less.",
            config=tune(
                case.name, learning_rate=[6.0e-3, 1.0e-2, 3.0e-3, 1.0e-3], augmentation=["none"], freeze_units=[0]
            ),
        )


def _explained(case: Case, *, is_early: bool, is_whole: bool) -> tuple[str, ...]:
    """What comes of too short a training, beside what always does: of a small input a small object is not."""
    if not is_early and not is_whole:
        return ()
    is_small = case.boxes.median_side < SMALL_AT_INPUT
    return OF_TOO_LITTLE if is_small and not is_early else (*OF_TOO_LITTLE, "small_objects", "large_objects")

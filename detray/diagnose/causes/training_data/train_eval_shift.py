from dataclasses import dataclass
from typing import Any

from detray.detectors.augmentation.settings import as_stated
from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, tune
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.covering import are_negatives, covering
from detray.diagnose.evidence.inputs import Input
from detray.diagnose.evidence.pictures import PICTURES_FAR

SHIFTED = Criterion(0.3, f"Kolmogorov-Smirnov distance above that of the other classes: {SUITE}")
SHIFT_LOSS = Criterion(
    0.2, "AP50 or AP in training above that here: a healthy model loses less, and a shift costs something"
)

SHIFT_RULES = ("split-drift", "image-property-drift")
OF_OTHER_PICTURES = (
    "overfit",
    "small_objects",
    "large_objects",
    "class_imbalance",
    "no_detections",
    "localization",
    "class_confusion",
    "receives_class",
    "bad_ranking",
    "background_confusion",
)
"""What a model may do on pictures of another kind."""


class TrainEvalShift(Cause):
    """The class looks different in training than in the evaluated split.

    Tells: the pictures' brightness, contrast or sharpness lie far from those of training, and the AP there is far
    above that here; or the audit's split-drift or image-property-drift for the class, or sizes (as a share of
    the image) or aspects of its boxes whose distributions lie apart, far more than those of the
    other classes. None of it where the class is not found on training pictures either, and no difference of boxes
    that comes of faulty labels in one split.
    Source: Kolmogorov-Smirnov distance; covariate shift (Shimodaira, 2000).
    Example: trained on close-ups, evaluated on street views.
    Remedy: rebalance the splits; augmentation that covers what differs.
    """

    name = "train_eval_shift"
    group = TRAINING_DATA
    inputs = (Input.TRAINING_ANNOTATIONS, Input.AUDIT)
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        trained, ap, ap50 = case.training.aps, case.result.ap, case.result.ap50
        loss = None if trained is None or ap is None or ap50 is None else max(trained[0] - ap, trained[1] - ap50)
        if loss is not None and loss < SHIFT_LOSS:
            return None
        pictures = _pictures(case, is_lost=loss is not None)
        # a difference of boxes that comes of faulty labels is no shift
        boxes = _Told([], {}, 0.0) if case.has_faulty_split or case.is_repaired else _of_boxes(case)
        parts, numbers = pictures.parts + boxes.parts, boxes.numbers | pictures.numbers
        if not parts:
            return None
        if trained is not None and loss is not None:
            numbers |= {"training_ap": trained[0], "training_ap50": trained[1], "ap": ap, "ap50": ap50}
            parts.append(
                f"its AP is {trained[0]:.2f} (AP50 {trained[1]:.2f}) on {case.training.words} and {ap:.2f}"
                f" ({ap50:.2f}) here"
            )
        remedy, augmentation = _remedy(case)
        return Verdict(
            confidence=max(pictures.confidence, boxes.confidence),
            d_ap=None if trained is None or ap is None else max(trained[0] - ap, 0.0),
            numbers=numbers,
            sentence=f"{case.label} is different in training: {'; '.join(parts)}.",
            remedy=remedy,
            config=tune(case.name, augmentation=augmentation),
            explains=OF_OTHER_PICTURES if pictures.parts else (),
        )


def _remedy(case: Case) -> tuple[str, list[Any]]:
    """What to do, in words, and the augmentations to try."""
    drifts = case.split.inputs.pictures or ()
    remedy = "Draw the splits again so that both see the class alike, or add augmentation that covers the difference"
    found = covering(drifts, case.boxes.scale)
    if found is not None:
        return f"{remedy}: {found}.", [as_stated(found), "strong"]
    look = "Look whether the pictures are negatives of such as in training. " if are_negatives(drifts) else ""
    return f"{look}{remedy}.", ["default", "strong"]


@dataclass(frozen=True)
class _Told:
    """Parts of the sentence, the numbers in them, and how sure they make."""

    parts: list[str]
    numbers: dict[str, Any]
    confidence: float


def _pictures(case: Case, *, is_lost: bool) -> _Told:
    """In what the pictures differ most; where nothing tells what it costs only if they do by far."""
    drifts = case.split.inputs.pictures or ()
    if not drifts or not (is_lost or drifts[0].distance >= PICTURES_FAR):
        return _Told([], {}, 0.0)
    most = drifts[0]
    words = (
        f"the {most.measure} of the pictures is {most.here:.0f} in the middle, in training {most.there:.0f}"
        f" (Kolmogorov-Smirnov distance {most.distance:.2f})"
    )
    numbers = {f"distance_{drift.measure}": drift.distance for drift in drifts}
    return _Told([words], numbers, confidence(most.distance, 0.0))


def _of_boxes(case: Case) -> _Told:
    """What the audit has found of the class, and in what its boxes differ."""
    findings, drifts = case.split.inputs.findings or {}, case.training.drifts
    rules = [rule for rule in SHIFT_RULES if findings.get((case.category, rule))]
    worst = max(drifts, key=lambda name: drifts[name]) if drifts else None
    usual = 0.0 if worst is None else case.training.usual_drifts.get(worst, 0.0)
    parts, sure = ([f"the audit reports {' and '.join(rules)}"], 0.6) if rules else ([], 0.0)
    if worst is not None and drifts[worst] - usual >= SHIFTED:
        parts.append(
            f"the {worst} of its boxes differ from those in training (Kolmogorov-Smirnov distance"
            f" {drifts[worst]:.2f}, other classes {usual:.2f})"
        )
        sure = confidence(drifts[worst], SHIFTED)
    return _Told(parts, {"rules": rules, **{f"distance_{name}": value for name, value in drifts.items()}}, sure)

import numpy as np

from detray.diagnose.case import Case
from detray.diagnose.cause import GROUND_TRUTH, Cause, Verdict, clean, confidence, percent
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.inputs import Input
from detray.diagnose.evidence.looseness import LARGER, Looseness
from detray.diagnose.evidence.sides import TRAIN
from detray.diagnose.evidence.tightness import usual_iou
from detray.diagnose.mend import Mend, Redrawn, regained
from detray.diagnose.observation.counts import MIN_HITS
from detray.diagnose.observation.rows import NONE

FLAGGED_SHARE = Criterion(0.05, "findings of loose boxes for each box: clean data has under .01 in the suite")
NOISY_SHARE = Criterion(0.4, f"untight share of true detections where the audit confirms it: {SUITE}")

_REMEDY = "Review the suspected boxes in label_errors (kind bad_box) and let clean move the confirmed ones."
_TRAIN_REMEDY = (
    "Diagnose the training split too (predict.splits), redraw its loose boxes (label_errors, kind bad_box), and train"
    " again; until then lower the box loss weight."
)
LOOSE_RULES = (
    "neighbour-outlier",
    "size-outlier",
    "extreme-aspect",
    "near-duplicate-box",
    "annotator-disagreement",
    "quantised-coordinates",
    "coordinate-scale",
    "out-of-bounds",
)
"""Rules of the audit that loose or jittered boxes break."""


class NoisyBoxes(Cause):
    """The annotated boxes of the class are loose or jittered.

    Tells: detections that match at IoU .5 mostly fail at .75, although the classes that work match
    tightly, and the audit finds loose boxes: outliers in size, boxes over the image's edge,
    annotators who disagree, coordinates on a grid. Or, where the model was run on training pictures: in one split the
    boxes lie farther around the same model's detections than in the other, or their aspects vary where those of the
    detections, as sure as in the other, do not; so the boxes are loose there, be it in training.
    Source: location errors of annotators (ObjectLab, Tkachenko et al., 2023).
    Example: boxes drawn with a margin by one annotator.
    Remedy: review the suspected boxes (label_errors, kind bad_box), redraw; lower the box loss weight.
    """

    name = "noisy_boxes"
    group = GROUND_TRUTH
    inputs = (Input.AUDIT, Input.TRAINING_DETECTIONS)
    explains = ("localization",)

    def judge(self, case: Case) -> Verdict | None:
        looseness = case.looseness
        if looseness is not None and looseness.side.split == TRAIN:
            return _in_one_split(case, looseness)
        return self._confirmed(case) or (None if looseness is None else _in_one_split(case, looseness))

    def _confirmed(self, case: Case) -> Verdict | None:
        """What the audit has found of the boxes."""
        findings = case.split.inputs.findings
        share = case.result.untight_share
        n = len(case.result.boxes)
        if findings is None or share is None or not n or share < NOISY_SHARE:
            return None
        by_rule = {rule: findings.get((case.category, rule), 0) for rule in LOOSE_RULES}
        flagged = sum(by_rule.values())
        if flagged < MIN_HITS or flagged / n < FLAGGED_SHARE:
            return None
        return Verdict(
            confidence=confidence(share, NOISY_SHARE),
            d_ap=regained(case.result, Mend(exact=case.result.true)),
            is_ceiling=True,
            numbers={
                "untight_share": share,
                "findings": {rule: k for rule, k in by_rule.items() if k},
                "n_ground_truth": n,
            },
            sentence=f"{percent(share)} of the true detections of {case.label} hold at IoU .5 and fail at .75, and the"
            f" audit has {flagged} findings of loose boxes among its {n}.",
            remedy=_REMEDY,
            config=clean("move", "clip"),
        )


def _redrawn(case: Case) -> tuple[float | None, bool]:
    """AP regained with the loose boxes drawn as those in training are, and whether that is a ceiling, of boxes drawn as
    the detections lie; of the missed boxes, which looseness makes, with all that a detection touches, be it unsure."""
    result, loose = case.result, case.boxes.loose
    iou = None if case.sides is None else usual_iou(case.sides, case.category)
    if iou is None:
        return regained(result, Mend(exact=result.true, snapped=loose)), True
    touched = result.missed & ~case.confusion.boxes & (result.boxes.detection != NONE)
    near = np.isin(result.detections.rank, result.boxes.detection[touched])
    return regained(result, Mend(redrawn=Redrawn(result.true | near, iou))), False


def _in_one_split(case: Case, looseness: Looseness) -> Verdict:
    """The detections of both splits tell that the boxes of one are loose."""
    side, fit, usual = looseness.side, looseness.fit, looseness.other_fit
    is_train = side.split == TRAIN
    own, others = (float(np.median(one.iou)) for one in (fit, usual))
    d_ap, is_ceiling = (None, False) if is_train else _redrawn(case)
    return Verdict(
        confidence=confidence(max(looseness.larger, fit.widening / max(usual.widening, 0.1)), LARGER, 1.5),
        d_ap=d_ap,
        is_ceiling=is_ceiling,
        numbers={
            "split": side.split,
            "boxes": len(fit.iou),
            "boxes_elsewhere": len(usual.iou),
            "larger": looseness.larger,
            "median_iou": own,
            "median_iou_elsewhere": others,
            "aspects_for_detections": fit.widening,
            "aspects_for_detections_elsewhere": usual.widening,
        },
        sentence=f"The {side.words} of {case.label} are loose: around the same model's detections the sides of"
        f" {len(fit.iou)} boxes on the {side.pictures} are {looseness.larger:.2f} times those of {len(usual.iou)} on"
        f" the {looseness.other.pictures}, and aspects spread {fit.widening:.1f} times as far as the detections'"
        f" ({usual.widening:.1f} times there); the median IoU with the detections is {own:.2f} ({others:.2f} there).",
        remedy=_TRAIN_REMEDY if is_train else _REMEDY,
        config=None if is_train else clean("move", "clip"),
        boxes=case.boxes.loose,
        detections=None if is_train else case.result.true,
    )

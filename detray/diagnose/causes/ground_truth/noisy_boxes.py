from detray.diagnose.case import Case
from detray.diagnose.cause import GROUND_TRUTH, Cause, Verdict, clean, confidence, percent
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.inputs import Input
from detray.diagnose.mend import Mend, regained
from detray.diagnose.observation.counts import MIN_HITS

FLAGGED_SHARE = Criterion(0.05, "findings of loose boxes for each box: clean data has under .01 in the suite")
NOISY_SHARE = Criterion(0.4, f"untight share of true detections where the audit confirms it: {SUITE}")

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
    annotators who disagree, coordinates on a grid.
    Source: location errors of annotators (ObjectLab, Tkachenko et al., 2023).
    Example: boxes drawn with a margin by one annotator.
    Remedy: review the suspected boxes (label_errors, kind bad_box), redraw; lower the box loss weight.
    """

    name = "noisy_boxes"
    group = GROUND_TRUTH
    inputs = (Input.AUDIT,)
    explains = ("localization",)

    def judge(self, case: Case) -> Verdict | None:
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
            numbers={
                "untight_share": share,
                "findings": {rule: k for rule, k in by_rule.items() if k},
                "n_ground_truth": n,
            },
            sentence=f"{percent(share)} of the true detections of {case.label} hold at IoU .5 and fail at .75, and the"
            f" audit has {flagged} findings of loose boxes among its {n}.",
            remedy="Review the suspected boxes in label_errors (kind bad_box) and let clean move the confirmed ones.",
            config=clean("move", "clip"),
        )

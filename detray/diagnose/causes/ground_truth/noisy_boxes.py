from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict, percent

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


class NoisyBoxes:
    """The annotated boxes of the class are loose or jittered.

    Tells: detections that match at IoU .5 mostly fail at .75, although the classes that work match
    tightly, and the audit finds loose boxes: outliers in size, boxes over the image's edge,
    annotators who disagree, coordinates on a grid.
    Source: location errors of annotators (ObjectLab, Tkachenko et al., 2023).
    Example: boxes drawn with a margin by one annotator.
    Remedy: review the suspected boxes (label_errors, kind bad_box), redraw; lower the box loss weight.
    """

    name = "noisy_boxes"
    group = cause.GROUND_TRUTH
    inputs = ("audit",)
    explains = ("localization",)

    def judge(self, case: Case) -> Verdict | None:
        findings = case.split.inputs.findings
        share = case.untight_share
        n = len(case.result.boxes)
        if findings is None or share is None or not n or share < t.NOISY_SHARE:
            return None
        by_rule = {rule: findings.get((case.category, rule), 0) for rule in LOOSE_RULES}
        flagged = sum(by_rule.values())
        if flagged < t.MIN_HITS or flagged / n < t.FLAGGED_SHARE:
            return None
        return Verdict(
            confidence=cause.confidence(share, t.NOISY_SHARE),
            d_ap=case.gain(case.result.ap_with(perfect=case.result.true)),
            numbers={
                "untight_share": share,
                "findings": {rule: k for rule, k in by_rule.items() if k},
                "n_ground_truth": n,
            },
            sentence=f"{percent(share)} of the true detections of {case.label} hold at IoU .5 and fail at .75, and the"
            f" audit has {flagged} findings of loose boxes among its {n}.",
            remedy="Review the suspected boxes in label_errors (kind bad_box) and let clean move the confirmed ones.",
            config=tuning.clean("move", "clip"),
        )

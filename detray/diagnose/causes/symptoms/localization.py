from typing import Any

import numpy as np

from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, confidence, percent, tune
from detray.diagnose.criterion import REASONED, SUITE, Criterion
from detray.diagnose.mend import Mend, regained
from detray.diagnose.observation.counts import FEW_BOXES, MIN_HITS

LOOSE_SHARE = Criterion(0.15, f"share of the boxes that are only hit loosely: {SUITE}")
UNTIGHT_SHARE = Criterion(0.6, f"share of true detections that fail at IoU .75: {SUITE}")
ALL_REACHED = Criterion(0.02, f"share of its boxes without an anchor up to which others would do little: {REASONED}")
TIGHTER = Criterion(0.2, f"share of untight true detections beyond that of the classes that work: {SUITE}")


class Localization(Cause):
    """The objects are found, and their boxes are off.

    Tells: missed boxes with a confident detection of the class at IoU .1 to .5; or true detections
    that fail at IoU .75, far more of them than of the classes that work.
    Source: error type Loc of TIDE (Bolya et al., ECCV 2020).
    Example: anchors too large for the objects, so boxes stick at anchor size.
    Remedy: input size, anchor scales, box loss weight.
    """

    name = "localization"
    group = SYMPTOM

    def judge(self, case: Case) -> Verdict | None:
        result, loose = case.result, case.boxes.loose
        n, of = int(loose.sum()), len(loose)
        untight, n_true = result.untight_share or 0.0, result.n_true
        usual = case.scores.reference.usually_untight
        is_untight = n_true >= FEW_BOXES and untight >= max(UNTIGHT_SHARE, usual + TIGHTER)
        remedy, space = remedy_of(case)
        config = tune(case.name, **space)
        share = n / max(case.boxes.n_met, 1)
        if n >= min(MIN_HITS, of) and n and share >= LOOSE_SHARE:
            median = float(np.median(result.boxes.iou[loose]))
            also = f", and {percent(untight)} of its {n_true} true detections fail at IoU .75" if is_untight else ""
            return Verdict(
                confidence=confidence(share, LOOSE_SHARE, 0.6),
                d_ap=regained(result, Mend(snapped=loose, exact=result.true if is_untight else None)),
                numbers={"loose": n, "n_ground_truth": of, "median_iou": median, "untight_share": untight},
                sentence=f"{n} of {of} boxes of {case.label} ({percent(n / of)}) are only hit loosely"
                f" (IoU .1 to .5, median {median:.2f}){also}; AP regained is at most that of boxes drawn exactly.",
                remedy=remedy,
                config=config,
                boxes=loose,
            )
        if is_untight:
            return Verdict(
                confidence=confidence(untight, UNTIGHT_SHARE),
                d_ap=regained(result, Mend(exact=result.true)),
                numbers={"untight": round(untight * n_true), "true": n_true},
                sentence=f"{percent(untight)} of the {n_true} true detections of {case.label} hold at IoU .5 and fail"
                " at .75: the detections, or the boxes as drawn, are loose.",
                remedy=remedy,
                config=config,
                detections=result.true,
            )
        return None


def remedy_of(case: Case) -> tuple[str, dict[str, list[Any]]]:
    """What to do about loose boxes, in words, and train settings to try; anchors only where some are not reached."""
    space: dict[str, list[Any]] = {"box_loss_weight": [1.0, 2.0, 4.0]}
    reach = case.split.inputs.reach
    if reach is not None and case.boxes.unreached(reach) <= ALL_REACHED:
        return "Try a larger input and a higher box loss weight.", space
    remedy = "Try a larger input, anchors of the objects' sizes, and a higher box loss weight."
    return remedy, space | {"detector.anchors": ["auto"]}

import numpy as np

from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict, percent


class Localization:
    """The objects are found, and their boxes are off.

    Tells: missed boxes with a confident detection of the class at IoU .1 to .5; or true detections
    that fail at IoU .75, far more of them than of the classes that work.
    Source: error type Loc of TIDE (Bolya et al., ECCV 2020).
    Example: anchors too large for the objects, so boxes stick at anchor size.
    Remedy: input size, anchor scales, box loss weight.
    """

    name = "localization"
    group = cause.SYMPTOM
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        view, loose = case.result, case.loose
        n, of = int(loose.sum()), len(loose)
        untight, n_true = case.untight_share or 0.0, int(view.true.sum())
        is_untight = n_true >= t.FEW_BOXES and untight >= max(t.UNTIGHT_SHARE, case.usually_untight + t.TIGHTER)
        config = tuning.tune(case.name, box_loss_weight=[1.0, 2.0, 4.0])
        remedy = "Try a larger input, anchors of the objects' sizes, and a higher box loss weight."
        share = n / max(case.n_met, 1)
        if n >= min(t.MIN_HITS, of) and n and share >= t.LOOSE_SHARE:
            median = float(np.median(view.boxes.iou[loose]))
            also = f", and {percent(untight)} of its {n_true} true detections fail at IoU .75" if is_untight else ""
            drawn = view.ap_with(snapped=(loose, view.boxes.detection), perfect=view.true if is_untight else None)
            return Verdict(
                confidence=cause.confidence(share, t.LOOSE_SHARE, 0.6),
                d_ap=case.gain(drawn),
                numbers={"loose": n, "n_ground_truth": of, "median_iou": median, "untight_share": untight},
                sentence=f"{n} of {of} boxes of {case.label} ({percent(n / of)}) are only hit loosely"
                f" (IoU .1 to .5, median {median:.2f}){also}; the AP regained is that of boxes drawn exactly.",
                remedy=remedy,
                config=config,
                boxes=loose,
            )
        if is_untight:
            return Verdict(
                confidence=cause.confidence(untight, t.UNTIGHT_SHARE),
                d_ap=case.gain(view.ap_with(perfect=view.true)),
                numbers={"untight": round(untight * n_true), "true": n_true},
                sentence=f"{percent(untight)} of the {n_true} true detections of {case.label} hold at IoU .5 and fail"
                " at .75: the detections, or the boxes as drawn, are loose.",
                remedy=remedy,
                config=config,
                detections=view.true,
            )
        return None

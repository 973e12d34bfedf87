from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict


class MissingLabels:
    """Objects of the class stand in the pictures without a box.

    Tells: detections on background that score like the true ones (AUC from .4 to .7, or to .6
    above their median), one for each such place, many for the number of true ones, and far more than
    the classes that work have at such scores.
    Source: confident false positives as missing annotations: ObjectLab (Tkachenko et al., 2023).
    Example: annotators drew the cars near the camera and left the parked ones out.
    Remedy: review the suspected boxes (label_errors, kind missing) and let clean add them.
    """

    name = "missing_labels"
    group = cause.GROUND_TRUTH
    inputs = ()
    explains = ("background_confusion",)

    def judge(self, case: Case) -> Verdict | None:
        view = case.view
        places, auc = case.background
        high = places & (view.found.score >= case.true_median)
        n_true = int(view.true.sum())
        if n_true < t.MIN_HITS or view.recall < t.NIL_RECALL or auc is None or auc.is_bad:
            return None
        # in a noisy model the false ones fade out below; left-out objects score as the true ones above it
        upper = view.auc(places, case.true_median)
        if auc.value > t.LIKE_TRUE_AUC and (upper is None or upper.value > t.LIKE_TRUE_UPPER_AUC):
            return None
        n_high = int(high.sum())
        share = 2 * n_high / n_true  # half of the true ones score above their median
        if share < t.UNLABELLED_SHARE or n_high < max(t.MIN_HITS, t.ABOVE_CLUTTER * case.usual_false(case.true_median)):
            return None
        n = int(places.sum())
        return Verdict(
            confidence=round(cause.confidence(share, t.UNLABELLED_SHARE) * n_high / (n_high + t.MIN_HITS), 3),
            d_ap=case.gain(view.ap_with(labelled=places)),
            numbers={
                "unlabelled": n,
                "true": n_true,
                "per_true": share,
                "auc": auc.value,
                "score_floor": view.confident,
            },
            sentence=f"{n} detections of {case.label} stand where no box is drawn and score like the {n_true} true ones"
            f" (AUC {auc.value:.2f}): objects are likely left out of the annotations.",
            remedy="Review the suspected boxes in label_errors (kind missing) and let clean add the confirmed ones.",
            config=tuning.clean("add"),
            detections=places,
        )

from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict


class BackgroundConfusion:
    """Detections on background outscore the true ones.

    Tells: confident detections where no box stands, scoring above the true ones (AUC under .4 of all
    confident ones, or of those above the median of the true ones).
    Source: error type Bkg of TIDE (Bolya et al., ECCV 2020).
    Example: shadows detected as `person` with score .95.
    Remedy: pictures without objects as negatives, focal gamma.
    """

    name = "background_confusion"
    group = cause.SYMPTOM
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        view = case.result
        places, auc = case.background
        n_true = int(view.true.sum())
        high = places & (view.detections.score >= case.true_median)
        n = int(high.sum())
        # weak ones beside them do not make those that outscore true ones better
        upper = view.auc(places, case.true_median)
        is_above = auc is not None and (auc.is_bad or (upper is not None and upper.is_bad))
        if auc is None or not is_above or n < t.MIN_HITS or n < t.BACKGROUND_SHARE * n_true:
            return None
        return Verdict(
            confidence=cause.confidence(-auc.value, -t.BAD_AUC, 0.0),
            d_ap=case.gain(view.ap_with(ignore=places)),
            numbers={"background": n, "true": n_true, "auc": auc.value},
            sentence=f"{n} detections of {case.label} on background outscore the median of its {n_true} true ones"
            f" (AUC {auc.value:.2f}).",
            remedy="Train with pictures that hold such background and no object, and raise focal gamma.",
            config=tuning.tune(case.name, focal_gamma=[2.0, 3.0, 4.0], focal_alpha=[0.1, 0.25]),
            detections=places,
        )

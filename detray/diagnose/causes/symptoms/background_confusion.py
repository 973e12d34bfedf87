from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, confidence, tune
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.chance import BAD_AUC
from detray.diagnose.mend import Mend, regained
from detray.diagnose.observation.counts import MIN_HITS

BACKGROUND_SHARE = Criterion(0.3, f"false detections on background that outscore true ones, for each true one: {SUITE}")


class BackgroundConfusion(Cause):
    """Detections on background outscore the true ones.

    Tells: confident detections where no box stands, scoring above the true ones (AUC under .4 of all
    confident ones, or of those above the median of the true ones).
    Source: error type Bkg of TIDE (Bolya et al., ECCV 2020).
    Example: shadows detected as `person` with score .95.
    Remedy: pictures without objects as negatives, focal gamma.
    """

    name = "background_confusion"
    group = SYMPTOM

    def judge(self, case: Case) -> Verdict | None:
        background, auc, n_true = case.background, case.background.auc, case.result.n_true
        n = int(background.high.sum())
        # weak ones beside them do not make those that outscore true ones better
        upper = background.high_auc
        is_above = auc is not None and (auc.is_bad or (upper is not None and upper.is_bad))
        if auc is None or not is_above or n < MIN_HITS or n < BACKGROUND_SHARE * n_true:
            return None
        return Verdict(
            confidence=confidence(-auc.value, -BAD_AUC, 0.0),
            d_ap=regained(case.result, Mend(ignored=background.places)),
            numbers={"background": n, "true": n_true, "auc": auc.value},
            sentence=f"{n} detections of {case.label} on background outscore the median of its {n_true} true ones"
            f" (AUC {auc.value:.2f}).",
            remedy="Train with pictures that hold such background and no object, and raise focal gamma.",
            config=tune(case.name, focal_gamma=[2.0, 3.0, 4.0], focal_alpha=[0.1, 0.25]),
            detections=background.places,
        )

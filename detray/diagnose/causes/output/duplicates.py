from detray.diagnose.case import Case
from detray.diagnose.cause import OUTPUT, Cause, Verdict, confidence
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.mend import LEAST_GAIN, MIN_GAIN, Mend, regained
from detray.diagnose.observation.counts import MIN_HITS

DUPLICATE_SHARE = Criterion(0.3, f"duplicates for each true detection: {SUITE}")
DUPLICATE_GAIN = Criterion(0.3, f"share of the AP that all false detections cost: {SUITE}")
DUPLICATE_MANY = Criterion(0.5, f"confident duplicates for each true detection: {SUITE}")


class Duplicates(Cause):
    """Several detections stand on the same object.

    Tells: detections on boxes that a better-scoring detection of the class has already, half as
    many as true ones and as confident; or without them much of the AP that false detections cost
    comes back.
    Source: error type Dupe of TIDE (Bolya et al., ECCV 2020).
    Example: non-maximum suppression is off, or its IoU threshold is .9.
    Remedy: lower the IoU threshold of the non-maximum suppression.
    """

    name = "duplicates"
    group = OUTPUT

    def judge(self, case: Case) -> Verdict | None:
        result = case.result
        again = case.detections.repeated
        n, n_true = int(again.sum()), result.n_true
        if n_true == 0 or n < MIN_HITS or n / n_true < DUPLICATE_SHARE:
            return None
        many = int((again & case.scores.confident).sum()) >= DUPLICATE_MANY * n_true
        gain, all_false = regained(case.result, Mend(ignored=again)), regained(case.result, Mend(ignored=result.false))
        if gain is None or gain < LEAST_GAIN or not all_false:
            return None
        if not (many or gain >= max(DUPLICATE_GAIN * all_false, MIN_GAIN)):
            return None
        return Verdict(
            confidence=confidence(gain / all_false, DUPLICATE_GAIN),
            d_ap=gain,
            is_ceiling=True,  # suppression goes by boxes and scores, and also takes true detections that stand close
            numbers={"duplicates": n, "true": n_true, "per_true": n / n_true, "d_ap_all_false": all_false},
            sentence=f"{n} detections of {case.label} repeat one of the {n_true} true ones: without just these its"
            f" AP is {gain:.2f} higher.",
            detections=again,
            remedy="Suppress repeated detections: non-maximum suppression by class at IoU .5 to .6.",
        )

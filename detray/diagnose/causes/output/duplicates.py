from detray.diagnose import cause
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict


class Duplicates:
    """Several detections stand on the same object.

    Tells: detections on boxes that a better-scoring detection of the class has already, half as
    many as true ones and as confident; or without them much of the AP that false detections cost
    comes back.
    Source: error type Dupe of TIDE (Bolya et al., ECCV 2020).
    Example: non-maximum suppression is off, or its IoU threshold is .9.
    Remedy: lower the IoU threshold of the non-maximum suppression.
    """

    name = "duplicates"
    group = cause.OUTPUT
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        view = case.result
        again = case.repeated
        n, n_true = int(again.sum()), int(view.true.sum())
        if n_true == 0 or n < t.MIN_HITS or n / n_true < t.DUPLICATE_SHARE:
            return None
        many = int((again & case.confident_detections).sum()) >= t.DUPLICATE_MANY * n_true
        gain, all_false = case.gain(view.ap_with(ignore=again)), case.gain(view.ap_with(ignore=view.false))
        if gain is None or gain < t.LEAST_GAIN or not all_false:
            return None
        if not (many or gain >= max(t.DUPLICATE_GAIN * all_false, t.MIN_GAIN)):
            return None
        return Verdict(
            confidence=cause.confidence(gain / all_false, t.DUPLICATE_GAIN),
            d_ap=gain,
            numbers={"duplicates": n, "true": n_true, "per_true": n / n_true, "d_ap_all_false": all_false},
            sentence=f"{n} detections of {case.label} repeat one of the {n_true} true ones: without them its AP is"
            f" {gain:.2f} higher.",
            detections=again,
            remedy="Suppress repeated detections: non-maximum suppression by class at IoU .5 to .6.",
        )

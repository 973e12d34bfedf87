from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, confidence, percent, tune
from detray.diagnose.evidence.chance import BAD_AUC
from detray.diagnose.mend import LEAST_GAIN, Mend, regained
from detray.diagnose.observation.counts import MIN_HITS


class BadRanking(Cause):
    """The objects are found, and false detections score above them.

    Tells: ranked rightly the class would gain .01 AP, and a true detection scores above a false one
    with a chance (AUC) under .4; the true ones score low for this model, or the false ones are of
    several kinds (where all are of one kind and the true ones score as usual, that kind is the
    cause). Repeated detections do not count.
    Source: the area under the ROC curve as a rank statistic (Hanley and McNeil, 1982).
    Example: a class head trained with labels flipped, or scores of another class's column.
    Remedy: focal gamma and alpha, more negatives.
    """

    name = "bad_ranking"
    group = SYMPTOM

    def judge(self, case: Case) -> Verdict | None:
        result = case.result
        auc = case.detections.false_auc
        if auc is None or not auc.is_bad or result.n_true < MIN_HITS or case.detections.has_one_kind_of_false:
            return None
        gain = regained(case.result, Mend(true_first=True))
        if gain is None or gain < LEAST_GAIN:
            return None
        return Verdict(
            confidence=confidence(-auc.value, -BAD_AUC, 0.0),
            d_ap=gain,
            numbers={
                "auc": auc.value,
                "recall": result.recall,
                "true": result.n_true,
                "false": int(result.false.sum()),
            },
            sentence=f"{percent(result.recall)} of the boxes of {case.label} are found, and false detections score"
            f" above true ones (AUC {auc.value:.2f}).",
            remedy="Tune the focal loss, so that hard false detections cost more, and add negatives.",
            config=tune(case.name, focal_gamma=[1.0, 2.0, 3.0], focal_alpha=[0.15, 0.25, 0.4]),
            detections=case.detections.outranking,
        )

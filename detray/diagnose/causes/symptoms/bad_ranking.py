from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict, percent


class BadRanking:
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
    group = cause.SYMPTOM
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        view = case.result
        auc = case.false_auc
        if auc is None or not auc.is_bad or int(view.true.sum()) < t.MIN_HITS or case.has_one_kind_of_false:
            return None
        gain = case.gain(view.ap_with(first=True))
        if gain is None or gain < t.LEAST_GAIN:
            return None
        return Verdict(
            confidence=cause.confidence(-auc.value, -t.BAD_AUC, 0.0),
            d_ap=gain,
            numbers={
                "auc": auc.value,
                "recall": view.recall,
                "true": int(view.true.sum()),
                "false": int(view.false.sum()),
            },
            sentence=f"{percent(view.recall)} of the boxes of {case.label} are found, and false detections score above"
            f" true ones (AUC {auc.value:.2f}).",
            remedy="Tune the focal loss, so that hard false detections cost more, and add negatives.",
            config=tuning.tune(case.name, focal_gamma=[1.0, 2.0, 3.0], focal_alpha=[0.15, 0.25, 0.4]),
            detections=case.outranking,
        )

import numpy as np

from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict, percent


class ClassConfusion:
    """Objects of the class are found, and labelled as another class that works for itself.

    Tells: missed boxes covered (IoU .5) by confident false detections of one other class whose own
    recall is good.
    Source: error type Cls of TIDE (Bolya et al., ECCV 2020).
    Example: trucks labelled as cars.
    Remedy: more examples that tell the two apart, class weights, unfreeze more of the backbone.
    """

    name = "class_confusion"
    group = cause.SYMPTOM
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        covered = case.confused
        n = int(covered.sum())
        if n < min(t.MIN_HITS, len(covered)) or not n or n / len(covered) < t.COVERED_SHARE:
            return None
        others, counts = np.unique(case.view.boxes.cover_category[covered], return_counts=True)
        other, most = int(others[counts.argmax()]), int(counts.max())
        if most / n < t.CONFUSION_DOMINANCE or not case.around.works(other):
            return None
        rows = covered & (case.view.boxes.cover_category == other)
        return Verdict(
            confidence=cause.confidence(most / len(covered), t.COVERED_SHARE, 0.6),
            d_ap=case.gain(case.view.ap_with(relabelled=rows)),
            numbers={
                "covered": most,
                "n_ground_truth": len(covered),
                "other_category_id": other,
                "other_category_name": case.around.names.get(other),
            },
            sentence=f"{most} of {len(covered)} boxes of {case.label} ({percent(most / len(covered))}) are covered by"
            f" detections labelled {case.around.label(other)}, which works for itself.",
            remedy=f"Show the model more examples that tell `{case.name}` from `{case.around.names.get(other, other)}`:"
            " oversample the class and unfreeze more of the backbone.",
            config=tuning.tune(case.name, oversample=[1, 2, 4, 8], freeze_units=[0, 1, 2]),
        )

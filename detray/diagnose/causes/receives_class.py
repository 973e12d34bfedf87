import numpy as np

from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict, percent


class ReceivesClass:
    """Many detections of the class sit on objects of one other class.

    Tells: confident false detections on boxes (IoU .5) of one other class, many for all that it
    detects.
    Source: error type Cls of TIDE (Bolya et al., ECCV 2020), seen from the class that is predicted.
    Example: half of the detections of `bus` are trucks.
    Remedy: as for class_confusion, from the other side.
    """

    name = "receives_class"
    group = cause.SYMPTOM
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        on_other, confident = case.on_others, case.confident_detections
        n, of = int(on_other.sum()), int(confident.sum())
        if n < t.MIN_HITS or n / of < t.RECEIVED_SHARE:
            return None
        others, counts = np.unique(case.view.found.other_category[on_other], return_counts=True)
        other, most = int(others[counts.argmax()]), int(counts.max())
        if most / n < t.CONFUSION_DOMINANCE:
            return None
        rows = on_other & (case.view.found.other_category == other)
        return Verdict(
            confidence=cause.confidence(most / of, t.RECEIVED_SHARE, 0.6),
            d_ap=case.gain(case.view.ap_with(ignore=rows)),
            numbers={
                "on_other": most,
                "confident_detections": of,
                "other_category_id": other,
                "other_category_name": case.around.names.get(other),
            },
            sentence=f"{most} of {of} confident detections of {case.label} ({percent(most / of)}) sit on objects of"
            f" {case.around.label(other)}.",
            remedy=f"Show the model more examples that tell `{case.around.names.get(other, other)}` from `{case.name}`:"
            " oversample the weaker of the two and unfreeze more of the backbone.",
            config=tuning.tune(case.name, oversample=[1, 2, 4], freeze_units=[0, 1, 2]),
        )

from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case, dominant_class
from detray.diagnose.cause import Verdict


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
        others = case.result.detections.other_category
        other = dominant_class(others[case.on_others])
        if other is None:
            return None
        rows = case.on_others & (others == other)
        most = int(rows.sum())
        of = most + case.n_seen
        if most < t.MIN_HITS or most / of < t.RECEIVED_SHARE:
            return None
        return Verdict(
            confidence=cause.confidence(most / of, t.RECEIVED_SHARE, 0.6),
            d_ap=case.gain(case.result.ap_with(ignore=rows)),
            numbers={
                "on_other": most,
                "boxes_met": case.n_seen,
                "other_category_id": other,
                "other_category_name": case.split.names.get(other),
            },
            sentence=f"{most} confident detections of {case.label} sit on objects of {case.split.label(other)}, and"
            f" {case.n_seen} boxes of its own are met.",
            remedy=f"Show the model more examples that tell `{case.split.names.get(other, other)}` from `{case.name}`:"
            " oversample the weaker of the two and unfreeze more of the backbone.",
            config=tuning.tune(case.name, oversample=[1, 2, 4], freeze_units=[0, 1, 2]),
            detections=rows,
        )

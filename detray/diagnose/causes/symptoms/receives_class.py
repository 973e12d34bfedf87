from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, confidence, tune
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.confusion import dominant_class
from detray.diagnose.mend import regained, told_apart
from detray.diagnose.observation.counts import MIN_HITS

RECEIVED_SHARE = Criterion(0.2, f"share of the confident detections that sit on other classes: {SUITE}")


class ReceivesClass(Cause):
    """Many detections of the class sit on objects of one other class.

    Tells: confident false detections on boxes (IoU .5) of one other class, many for all that it
    detects.
    Source: error type Cls of TIDE (Bolya et al., ECCV 2020), seen from the class that is predicted.
    Example: half of the detections of `bus` are trucks.
    Remedy: as for class_confusion, from the other side.
    """

    name = "receives_class"
    group = SYMPTOM

    def judge(self, case: Case) -> Verdict | None:
        others, confused = case.result.detections.other_category, case.confusion.detections
        other = dominant_class(others[confused])
        if other is None:
            return None
        rows = confused & (others == other)
        most = int(rows.sum())
        of = most + case.boxes.n_seen
        if most < MIN_HITS or most / of < RECEIVED_SHARE:
            return None
        return Verdict(
            confidence=confidence(most / of, RECEIVED_SHARE, 0.6),
            d_ap=regained(case.result, told_apart(case.result, case.confusion.boxes, case.confusion.detections, other)),
            numbers={
                "on_other": most,
                "boxes_met": case.boxes.n_seen,
                "other_category_id": other,
                "other_category_name": case.split.names.get(other),
            },
            sentence=f"{most} confident detections of {case.label} sit on objects of {case.split.label(other)}, and"
            f" {case.boxes.n_seen} boxes of its own are met.",
            remedy=f"Show the model more examples that tell `{case.split.names.get(other, other)}` from `{case.name}`:"
            " oversample the weaker of the two and unfreeze more of the backbone.",
            config=tune(case.name, oversample=[1, 2, 4], freeze_units=[0]),
            detections=rows,
        )

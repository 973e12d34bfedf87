from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, confidence, percent, tune
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.confusion import dominant_class
from detray.diagnose.mend import regained, told_apart
from detray.diagnose.observation.counts import MIN_HITS

COVERED_SHARE = Criterion(0.15, f"share of the boxes covered by another class: {SUITE}")


class ClassConfusion(Cause):
    """Objects of the class are found, and labelled as another class that works for itself.

    Tells: missed boxes covered (IoU .5) by confident false detections of one other class whose own
    recall is good.
    Source: error type Cls of TIDE (Bolya et al., ECCV 2020).
    Example: trucks labelled as cars.
    Remedy: more examples that tell the two apart, class weights, unfreeze more of the backbone.
    """

    name = "class_confusion"
    group = SYMPTOM

    def judge(self, case: Case) -> Verdict | None:
        covers, confused = case.result.boxes.cover_category, case.confusion.boxes
        other = dominant_class(covers[confused])
        if other is None or not case.split.works(other):
            return None
        rows = confused & (covers == other)
        most, of = int(rows.sum()), len(rows)
        if most < min(MIN_HITS, of) or most / case.boxes.n_seen < COVERED_SHARE:
            return None
        return Verdict(
            confidence=confidence(most / case.boxes.n_seen, COVERED_SHARE, 0.6),
            d_ap=regained(case.result, told_apart(case.result, case.confusion.boxes, case.confusion.detections, other)),
            numbers={
                "covered": most,
                "n_ground_truth": of,
                "other_category_id": other,
                "other_category_name": case.split.names.get(other),
            },
            sentence=f"{most} of {of} boxes of {case.label} ({percent(most / of)}) are covered by"
            f" detections labelled {case.split.label(other)}, which works for itself.",
            remedy=f"Show the model more examples that tell `{case.name}` from `{case.split.names.get(other, other)}`:"
            " oversample the class and unfreeze more of the backbone.",
            config=tune(case.name, oversample=[1, 2, 4, 8], freeze_units=[0]),
            boxes=rows,
        )

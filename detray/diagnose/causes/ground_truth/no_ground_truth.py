from detray.diagnose.case import Case
from detray.diagnose.cause import GROUND_TRUTH, Cause, Verdict, number


class NoGroundTruth(Cause):
    """The split holds no box of the class.

    Tells: the class is in the category list and no annotation of the split carries it.
    Source: COCO: a class without ground truth has no AP; pycocotools writes -1, here it is NULL.
    Example: the list has 80 classes, the 100 evaluated images hold 70 of them.
    Remedy: its AP is unknown, not 0: evaluate on a split that has the class, or annotate some.
    """

    name = "no_ground_truth"
    group = GROUND_TRUTH

    def judge(self, case: Case) -> Verdict | None:
        if len(case.given.boxes) or len(case.result.boxes) or case.n_crowd:
            return None
        n = len(case.given.detections)
        return Verdict(
            confidence=1.0,
            d_ap=None,
            numbers={"n_ground_truth": 0, "n_detections": n},
            sentence=f"{case.label} has no box in this split (and {number(n, 'detection', 'detections')}): it has no"
            " AP, which is not an AP of 0.",
            remedy="Add boxes of the class to the split, or evaluate on a split that holds it.",
        )

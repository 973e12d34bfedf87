from detray.diagnose.case import Case
from detray.diagnose.cause import GROUND_TRUTH, Cause, Verdict


class CrowdOnly(Cause):
    """Every box of the class is a crowd region, which COCO ignores.

    Tells: the class has annotations, and all of them have iscrowd 1.
    Source: COCO evaluation: crowd regions absorb detections and never count as found or missed.
    Example: `sheep` is only annotated as flocks.
    Remedy: annotate single objects, or evaluate on a split that has some.
    """

    name = "crowd_only"
    group = GROUND_TRUTH

    def judge(self, case: Case) -> Verdict | None:
        if len(case.given.boxes) or len(case.result.boxes) or not case.n_crowd:
            return None
        return Verdict(
            confidence=1.0,
            d_ap=None,
            numbers={"n_ground_truth": 0, "n_crowd": case.n_crowd, "n_detections": len(case.given.detections)},
            sentence=f"All {case.n_crowd} boxes of {case.label} are crowd regions, which do not count: it has no AP.",
            remedy="Annotate single objects of the class, or evaluate on a split that has some.",
        )

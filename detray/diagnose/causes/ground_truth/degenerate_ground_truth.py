from detray.diagnose.case import Case
from detray.diagnose.cause import GROUND_TRUTH, Cause, Verdict, clean, confidence, number
from detray.diagnose.criterion import Criterion
from detray.diagnose.mend import Mend, is_worth, mended_ap, regained
from detray.diagnose.observation.counts import MIN_HITS

FLAT_SHARE = Criterion(0.01, "share of the boxes from which a fault of single rows moves AP by what a mend is worth")


class DegenerateGroundTruth(Cause):
    """Boxes of the class have no area, and nothing can match them.

    Tells: boxes with a width or height of 0, or below 0, where the corners are exchanged; without them, and without the
    detections that stand on what they mean, AP is higher.
    Source: IoU with a box without area is 0 (pycocotools, bbIou in maskApi.c): each of them is a missed one.
    Example: a converter wrote xmin as xmax; boxes drawn from the lower right to the upper left.
    Remedy: let clean exchange the corners where they fit, and drop what has no area.
    """

    name = "degenerate_ground_truth"
    group = GROUND_TRUTH
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        result, flat = case.result, case.result.flat
        n, of = int(flat.sum()), result.n_boxes
        if n < MIN_HITS or n < FLAT_SHARE * of:
            return None
        mend = Mend(without=flat, ignored=result.over_flat)
        gain, without = regained(result, mend), mended_ap(result, mend)
        if without is not None and not is_worth(result, gain):
            return None
        exchanged = int((result.boxes.box[:, 2:] < 0).any(axis=1).sum())
        parts = [(n - exchanged, "a width or height of 0"), (exchanged, "exchanged corners, a width or height below 0")]
        kinds = " and ".join(f"{k} {words}" for k, words in parts if k)
        outcome = "no other box is left" if without is None else f"without them its AP is {without:.2f}"
        return Verdict(
            confidence=confidence(n / of, FLAT_SHARE, 0.5),
            d_ap=gain,
            numbers={"without_area": n, "exchanged": exchanged, "n_ground_truth": of, "ap_without": without},
            sentence=f"{n} of {number(of, 'box', 'boxes')} of {case.label} have no area ({kinds}), so no detection can"
            f" match them: {outcome}.",
            remedy="Let detray clean exchange the corners back where that fits, and drop what has no area; draw the"
            " dropped boxes again where the objects count.",
            config=clean("drop", "move"),
            boxes=flat,
            detections=result.over_flat,
        )

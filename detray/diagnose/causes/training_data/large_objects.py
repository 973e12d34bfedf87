import numpy as np

from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, percent, tune
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.sizes import SIZE_LOST_SHARE, find_border, is_comparable, lost_share
from detray.diagnose.mend import Mend, regained

BEYOND_ANCHOR = Criterion(2**0.5, "sides of the largest anchor: beyond, IoU with it is below .5 wherever it stands")
BEYOND_SHARE = Criterion(0.5, "most of the lost boxes")


class LargeObjects(Cause):
    """The large objects of the class are missed, the small ones are found.

    Tells: missed boxes that nothing touches are far larger than found ones (AUC of size), and recall above some size
    is far below that up to it; or nothing of the class is met, and most of its boxes lie beyond the largest anchor.
    Source: an anchor is trained on from IoU .5 on (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017).
    Example: a face fills the picture, and the largest anchor is a third of the input.
    Remedy: larger anchors, a further pyramid level, or a smaller input.
    """

    name = "large_objects"
    group = TRAINING_DATA
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        lost, size, reach = case.boxes.lost, case.boxes.sizes, case.split.inputs.reach
        share = lost_share(case.boxes)
        if share is None:
            return None
        n, of, typical = case.boxes.n_lost, len(lost), float(np.median(size[lost]))
        anchor = float(np.sqrt(np.prod(reach.anchors, axis=1)).max()) if reach is not None and reach.anchors else None
        beyond = lost & (size > BEYOND_ANCHOR * anchor) if anchor is not None else np.zeros_like(lost)
        numbers = {"lost": n, "n_ground_truth": of, "median_lost_size": typical}
        told = []
        if is_comparable(case.boxes):
            found = find_border(case.boxes, lost_are_large=True)
            if found is None:
                return None
            border, small, large = found.border, found.recall_small, found.recall_large
            told = [f"recall is {percent(small)} up to {border:.0f} px and {percent(large)} above"]
            numbers |= {"size_auc": found.auc, "border": border, "recall_small": small, "recall_large": large}
            rows = lost & (size > border)
        else:
            rows = beyond
            if beyond.sum() < BEYOND_SHARE * n:
                return None
        if anchor is not None and beyond.any():
            numbers |= {"largest_anchor": anchor, "beyond_anchors": int(beyond.sum())}
            told.append(f"the largest anchor, of {anchor:.0f} px, does not reach {int(beyond.sum())} of them")
        return Verdict(
            confidence=confidence(share, SIZE_LOST_SHARE),
            d_ap=regained(case.result, Mend(found=rows)),
            numbers=numbers,
            sentence=f"{n} of {of} boxes of {case.label} are missed because they are large: {', and '.join(told)}"
            f" (side of the box{' after the resize' if reach else ''}).",
            boxes=rows,
            remedy="Give the detector anchors of the objects' size or a further pyramid level, or lower the input"
            " size; a larger input makes it worse.",
            config=tune(case.name, **{"detector.anchors": ["auto"]}),
        )

import numpy as np

from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, percent, tune
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.sizes import (
    SIZE_LOST_SHARE,
    SIZE_RECALL_GAP,
    find_border,
    is_comparable,
    lost_share,
)
from detray.diagnose.mend import Mend, regained

SMALL_SIDE = Criterion(32, "COCO's small objects, side in pixels")


class SmallObjects(Cause):
    """The small objects of the class are missed, the large ones are found.

    Tells: missed boxes that nothing touches are far smaller than found ones (AUC of size), and
    recall below some size is far below that above it; or, where all boxes of the class are
    small, the small boxes of the other classes are missed too, and their large ones found. Boxes without area
    tell nothing of size.
    Source: COCO's small range, area up to 32²; feature stride and anchor size bound what a
    detector can find (Lin et al., FPN, CVPR 2017).
    Example: signs 10 px wide after the model's resize.
    Remedy: larger input, smaller anchors, tiles.
    """

    name = "small_objects"
    group = TRAINING_DATA
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        lost, size = case.boxes.lost, case.boxes.sizes
        share = lost_share(case.boxes)
        if share is None:
            return None
        n, of, typical = case.boxes.n_lost, len(lost), float(np.median(size[lost]))
        if is_comparable(case.boxes):
            found = find_border(case.boxes, lost_are_large=False)
            if found is None:
                return None
            border, small, large = found.border, found.recall_small, found.recall_large
            told = f"recall is {percent(small)} up to {border:.0f} px and {percent(large)} above"
            numbers = {"size_auc": found.auc, "border": border, "recall_small": small, "recall_large": large}
        else:
            others = case.split.recall_by_size(case.category)
            if others is None or typical > SMALL_SIDE or others[1] - others[0] < SIZE_RECALL_GAP:
                return None
            told = (
                f"their median is {typical:.0f} px, and of such boxes of other classes {percent(others[0])} are"
                f" found, of larger ones {percent(others[1])}"
            )
            border = float(size[lost].max())
            numbers = {"median_size": typical, "recall_small_others": others[0], "recall_large_others": others[1]}
        rows = lost & (size <= border)
        return Verdict(
            confidence=confidence(share, SIZE_LOST_SHARE),
            d_ap=regained(case.result, Mend(found=rows)),
            numbers={"lost": n, "n_ground_truth": of, "median_lost_size": typical, **numbers},
            sentence=f"{n} of {of} boxes of {case.label} are missed because they are small:"
            f" {told} (side of the box{' after the resize' if case.split.inputs.reach else ''}).",
            boxes=rows,
            remedy="Raise the input size or cut pictures into tiles, and use anchors of the objects' size.",
            config=tune(case.name, augmentation=["default", "strong"], oversample=[1, 2, 4]),
        )

import numpy as np

from detray.arrays import Flags, Floats
from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, percent, tune
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.mend import Mend, regained
from detray.diagnose.observation.counts import MIN_HITS

SMALL_SIDE = Criterion(32, "COCO's small objects, side in pixels")
SMALL_LOST_SHARE = Criterion(0.25, f"share of the boxes that nothing touches: {SUITE}")
SIZE_AUC = Criterion(0.75, f"chance that a found box is larger than a lost one: {SUITE}")
SIZE_ERRORS = Criterion(2.5, "standard errors by which it must lie above chance: six false calls in a thousand")
SIZE_RECALL_GAP = Criterion(0.4, f"recall of the larger boxes above that of the smaller: {SUITE}")


class SmallObjects(Cause):
    """The small objects of the class are missed, the large ones are found.

    Tells: missed boxes that nothing touches are far smaller than found ones (AUC of size), and
    recall below some size is far below that above it; or, where all boxes of the class are
    small, the small boxes of the other classes are missed too, and their large ones found.
    Source: COCO's small range, area up to 32²; feature stride and anchor size bound what a
    detector can find (Lin et al., FPN, CVPR 2017).
    Example: signs 10 px wide after the model's resize.
    Remedy: larger input, smaller anchors, tiles.
    """

    name = "small_objects"
    group = TRAINING_DATA
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        boxes = case.result.boxes
        lost, met = case.boxes.lost, case.boxes.met
        size = case.boxes.sizes
        n, told_of = int(lost.sum()), lost | met
        share = n / max(int(told_of.sum()), 1)
        if n < MIN_HITS or share < SMALL_LOST_SHARE:
            return None
        typical = float(np.median(size[lost]))
        auc = case.boxes.size_auc
        if auc is not None and met.sum() >= MIN_HITS:
            border, recall_small, recall_large = _border(size[told_of], met[told_of])
            is_told = auc.value >= SIZE_AUC and auc.value - 0.5 >= SIZE_ERRORS * auc.error
            if not is_told or recall_large - recall_small < SIZE_RECALL_GAP:
                return None
            told = f"recall is {percent(recall_small)} up to {border:.0f} px and {percent(recall_large)} above"
            numbers = {
                "size_auc": auc.value,
                "border": border,
                "recall_small": recall_small,
                "recall_large": recall_large,
            }
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
        return Verdict(
            confidence=confidence(share, SMALL_LOST_SHARE),
            d_ap=regained(case.result, Mend(found=lost & (size <= border))),
            numbers={"lost": n, "n_ground_truth": len(boxes), "median_lost_size": typical, **numbers},
            sentence=f"{n} of {len(boxes)} boxes of {case.label} are missed because they are small:"
            f" {told} (side of the box{' after the resize' if case.split.inputs.input_size else ''}).",
            boxes=lost & (size <= border),
            remedy="Raise the input size or cut pictures into tiles, and use anchors of the objects' size.",
            config=tune(case.name, augmentation=["default", "strong"], oversample=[1, 2, 4]),
        )


def _border(size: Floats, hit: Flags) -> tuple[float, float, float]:
    """The size that parts found from missed boxes best (Youden, 1950): it, recall up to it and above."""
    order = np.argsort(size, kind="stable")
    n_hit = np.cumsum(hit[order])
    n = np.arange(1, len(size))
    below, above = n_hit[:-1] / n, (n_hit[-1] - n_hit[:-1]) / (len(size) - n)
    best = int((above - below).argmax())
    return float(size[order][best]), float(below[best]), float(above[best])

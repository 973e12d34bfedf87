import numpy as np

from detray.audit.rules.class_.effective_size import INPUT_STEP
from detray.boxes import Reach
from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, percent, tune
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.boxes import SMALL_AT_INPUT
from detray.diagnose.evidence.sizes import (
    SIZE_LOST_SHARE,
    SIZE_RECALL_GAP,
    find_border,
    is_comparable,
    lost_share,
)
from detray.diagnose.evidence.training import LEARNT_AP50
from detray.diagnose.mend import Mend, regained

TINY = Criterion(8, "px at the input: one stride of the finest level, and the audit's min_side of effective-size")
LARGER_SIDE = Criterion(1.5, "times the side of the class: a larger class is one beyond the usual spread of sizes")
BELOW_SHARE = Criterion(0.5, "most of the boxes")
DRAWN_WELL = Criterion(0.5, "AP for each AP50: boxes that fail at the upper half of COCO's thresholds have less")
SMALL_SIDE = Criterion(32, "COCO's small objects, side in pixels")

_REMEDY = "Raise the input size or cut pictures into tiles, and use anchors of the objects' size."


class SmallObjects(Cause):
    """The small objects of the class are missed, the large ones are found.

    Tells: missed boxes that nothing touches are far smaller than found ones (AUC of size), and
    recall below some size is far below that above it; or, where all boxes of the class are
    small, the small boxes of the other classes are missed too, and their large ones found. Boxes without area
    tell nothing of size. Or, where the model's input is known: the class is under 8 px wide there in the middle, or
    under 16 px and below every anchor or a larger class works; and it is not found, or not drawn, on training pictures
    either.
    Source: COCO's small range, area up to 32²; feature stride and anchor size bound what a
    detector can find (Lin et al., FPN, CVPR 2017).
    Example: signs 10 px wide after the model's resize.
    Remedy: larger input, smaller anchors, tiles.
    """

    name = "small_objects"
    group = TRAINING_DATA
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        return _by_size(case) or _at_input(case)


def _by_size(case: Case) -> Verdict | None:
    """Found and missed boxes told apart by size."""
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
        remedy=_REMEDY,
        config=tune(case.name, augmentation=["default", "strong"], oversample=[1, 2, 4]),
    )


def _at_input(case: Case) -> Verdict | None:
    """The class as the model sees it: too few pixels to tell anything by."""
    reach, side, trained = case.split.inputs.reach, case.boxes.median_side, case.training.aps
    if reach is None or side >= SMALL_AT_INPUT or case.training.n_boxes == 0:
        return None
    if trained is not None and trained[1] >= LEARNT_AP50 and trained[0] >= DRAWN_WELL * trained[1]:
        return None  # it is seen well enough to be learnt, and drawn
    below = case.boxes.below_anchors(reach)
    larger = case.split.working_above(case.category, LARGER_SIDE * side)
    if side >= TINY and below < BELOW_SHARE and larger is None:
        return None
    given = float(np.median(np.sqrt(case.result.boxes.box[:, 2:].clip(0)).prod(axis=1)))
    told = [
        f"in the middle they are {side:.1f} px wide at its input of {reach.input_width} x {reach.input_height}"
        f" ({given:.0f} px in the pictures)"
    ]
    numbers = {"median_side": side, "median_side_in_pictures": given, "below_anchors": below}
    if reach.anchors:
        told.append(f"{percent(below)} are too small for every anchor")
    if larger is not None:
        numbers |= {"larger_category_id": larger[0], "larger_side": larger[1]}
        told.append(f"{case.split.label(larger[0])}, {larger[1]:.0f} px wide there, works")
    if trained is not None:
        numbers["training_ap50"] = trained[1]
        told.append(f"AP50 on {case.training.words} is {trained[1]:.2f}")
    return Verdict(
        confidence=confidence(-side, -SMALL_AT_INPUT, -TINY / 2),
        d_ap=None,
        numbers=numbers,
        sentence=f"The model hardly sees the objects of {case.label}: {'; '.join(told)}.",
        remedy=_REMEDY,
        config=tune(case.name, **_larger(reach)),
    )


def _larger(reach: Reach) -> dict[str, list[int]]:
    """An input of twice the sides, in whole strides of the coarsest level."""
    sides = {"detector.input_height": reach.input_height, "detector.input_width": reach.input_width}
    return {name: [max(round(2 * side / INPUT_STEP), 1) * INPUT_STEP] for name, side in sides.items()}

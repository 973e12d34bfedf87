"""Non-maximum suppression in NumPy: of boxes that overlap the best stays."""

import numpy as np

from detray.arrays import Floats, Ints


def suppress(boxes: Floats, scores: Floats, classes: Ints, *, iou: float, across: bool, top: int) -> Ints:
    """The positions of the boxes that stay, best first, at most ``top``: int64 ``[k]``.

    The best box stays, those that overlap it by more than ``iou`` go, and so on with the rest. Of equal
    scores the first counts as the best. Boxes without area overlap nothing.

    Args:
        boxes: corners ``[n, 4]``, xmin, ymin, xmax, ymax (or y before x), in any unit.
        scores: ``[n]``.
        classes: ``[n]``.
        iou: above this boxes go; 1: none does.
        across: boxes suppress those of other classes too; else only those of their own.
        top: how many may stay.

    Source: greedy suppression as ``tf.image.non_max_suppression`` does it.
    """
    order = np.argsort(-scores, kind="stable")
    corners = boxes[order]
    low, high = corners[:, :2], corners[:, 2:]
    areas, kinds = np.prod(high - low, axis=1), classes[order]
    kept: list[int] = []
    left = np.arange(len(order))
    while len(left) and len(kept) < top:
        best, left = left[0], left[1:]
        kept.append(order[best])
        sides = np.minimum(high[left], high[best]) - np.maximum(low[left], low[best])
        inter = np.prod(np.maximum(sides, 0), axis=1)
        goes = inter > iou * (areas[left] + areas[best] - inter)
        left = left[~(goes if across else goes & (kinds[left] == kinds[best]))]
    return np.array(kept, np.int64)

"""Which boxes the anchors of a detector reach at its input."""

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.audit.measures import EFFECTIVE_BASE, EFFECTIVE_BINS

POSITIVE_IOU = 0.5
"""From this overlap on an anchor learns a box, where no threshold is stated."""


def sides_at_input(keys: Ints) -> Floats:
    """Widths and heights at the input, px ``[k, 2]``, of keys that `measures` counts sizes there under."""
    bins = np.stack(np.divmod(keys, EFFECTIVE_BASE), axis=1) - EFFECTIVE_BASE // 2
    return np.exp2(bins / EFFECTIVE_BINS)


def is_reached(sides: Floats, anchors: Floats) -> Flags:
    """Whether an anchor of ``anchors`` ``[a, 2]`` overlaps each box of ``sides`` ``[k, 2]`` enough where centred."""
    if not len(anchors):
        return np.zeros(len(sides), bool)
    inter = np.minimum(sides[:, None], anchors).prod(axis=2)
    iou = inter / (sides.prod(axis=1)[:, None] + anchors.prod(axis=1) - inter)
    return np.asarray(iou.max(axis=1) >= POSITIVE_IOU)

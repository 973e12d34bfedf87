"""Pascal VOC's matching at IoU .5, which the TF Object Detection API calls PascalBoxes mAP@0.5IOU.

Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 2010. A detection looks
only at the box of its class that it overlaps most: if that is taken already it is false, even where
a second box would do. Difficult boxes, and crowd regions for data sets that have them, count
neither for nor against.
"""

import numpy as np

from detray.evaluate.kernel import Detections, Flags, GroundTruth, Ints
from detray.evaluate.pairs import Pairs
from detray.evaluate.partners import Best

IOU = 0.5
FALSE, HIT, IGNORED = 0, 1, -1


def pascal_match(
    gt: GroundTruth, difficult: Flags, dt: Detections, pairs: Pairs, turn: Ints
) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """`HIT`, `FALSE` or `IGNORED` for each detection, int8 ``[m]``.

    Args:
        gt: the boxes, of which ``difficult`` ``[n]`` are marked.
        dt: the detections.
        pairs: those of the same image and class with an IoU of at least .5.
        turn: ``[m]`` the place of each detection; of those that share a box the first one has it.
    """
    box = Best.of(pairs.detection, pairs.box, pairs.iou, len(dt)).partner
    result = np.full(len(dt), FALSE, np.int8)
    rows = np.flatnonzero(box >= 0)
    rows = rows[np.argsort(-turn[rows])]
    first = np.full(len(gt), -1)
    first[box[rows]] = rows  # the last one written is the first in turn
    result[first[first >= 0]] = HIT
    result[rows[(gt.crowd | difficult)[box[rows]]]] = IGNORED
    return result

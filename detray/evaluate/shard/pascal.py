"""Pascal VOC's matching at IoU .5, which the TF Object Detection API calls PascalBoxes mAP@0.5IOU.

Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 2010. A detection looks
only at the box of its class that it overlaps most: if that is taken already it is false, even where
a second box would do. A detection on a difficult box counts neither for nor against, nor does a
false one on a crowd region, as the TF Object Detection API treats groups.
"""

import numpy as np

from detray.arrays import Flags, Ints
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.kernel.order import stable_argsort
from detray.evaluate.kernel.overlaps import Overlaps
from detray.evaluate.shard.partners import Best

IOU = 0.5
FALSE, HIT, IGNORED = 0, 1, -1


def pascal_match(
    gt: GroundTruth, difficult: Flags, dt: Detections, pairs: Overlaps, turn: Ints
) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """`HIT`, `FALSE` or `IGNORED` for each detection, int8 ``[m]``.

    Args:
        gt: the boxes, of which ``difficult`` ``[n]`` are marked.
        dt: the detections.
        pairs: those of the same image and class with an IoU of at least .5.
        turn: ``[m]`` the place of each detection; of those that share a box the first one has it.
    """
    on_crowd = gt.crowd[pairs.box]
    single = pairs.take(~on_crowd)
    box = Best.of(single.detection, single.box, single.iou, len(dt)).partner
    result = np.full(len(dt), FALSE, np.int8)
    rows = np.flatnonzero(box >= 0)
    rows = rows[stable_argsort(-turn[rows])]
    first = np.full(len(gt), -1)
    first[box[rows]] = rows  # the last one written is the first in turn
    result[first[first >= 0]] = HIT
    result[rows[difficult[box[rows]]]] = IGNORED
    crowded = np.unique(pairs.detection[on_crowd])
    result[crowded[result[crowded] == FALSE]] = IGNORED
    return result

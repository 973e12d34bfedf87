"""What each detection and box overlaps best: a box or detection of its own class, and of another."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats, Ints
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.kernel.overlaps import Overlaps


@dataclass(frozen=True)
class Best:
    """The highest IoU of each row, 0 where nothing overlaps, and with which row; -1: none."""

    iou: Floats
    partner: Ints

    @staticmethod
    def of(row: Ints, partner: Ints, iou: Floats, n: int) -> "Best":
        """The best of the pairs ``(row[i], partner[i])`` for each of ``n`` rows; the first one on a tie."""
        best, chosen = np.zeros(n), np.full(n, -1)
        np.maximum.at(best, row, iou)
        top = np.flatnonzero(iou == best[row])[::-1]
        chosen[row[top]] = partner[top]
        return Best(best, chosen)


@dataclass(frozen=True)
class Partners:
    """Best overlaps of detections and boxes of the same image, crowd regions aside."""

    own_box: Best
    other_box: Best
    own_detection: Best
    other_detection: Best

    @staticmethod
    def of(gt: GroundTruth, dt: Detections, pairs: Overlaps) -> "Partners":
        """``pairs`` are those of the same image, whatever their classes."""
        single = ~gt.crowd[pairs.box]
        same = gt.category[pairs.box] == dt.category[pairs.detection]
        own, other = pairs.take(single & same), pairs.take(single & ~same)
        return Partners(
            Best.of(own.detection, own.box, own.iou, len(dt)),
            Best.of(other.detection, other.box, other.iou, len(dt)),
            Best.of(own.box, own.detection, own.iou, len(gt)),
            Best.of(other.box, other.detection, other.iou, len(gt)),
        )

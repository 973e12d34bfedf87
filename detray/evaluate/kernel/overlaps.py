"""Which detections and ground truth boxes of the same image overlap, and by how much."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Flags, Floats, Ints
from detray.evaluate.kernel.order import runs, stable_argsort

CHUNK = 1 << 16
"""Pairs looked at in one go: their coordinates stay in the processor's cache."""


@dataclass(frozen=True)
class Overlaps:
    """Overlapping pairs: rows of the detections and of the boxes, and their IoU (over 0); ``[p]`` each."""

    detection: Ints
    box: Ints
    iou: Floats

    def take(self, rows: NDArray) -> "Overlaps":
        """The pairs that ``rows`` (an index or a mask) selects."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)  # once for all three
        return Overlaps(self.detection[rows], self.box[rows], self.iou[rows])


def overlapping(
    dt_code: Ints, dt_box: Floats, gt_code: Ints, gt_box: Floats, crowd: Flags, least: float = 0.0
) -> Overlaps:
    """All pairs with equal codes that overlap, with an IoU of at least ``least``.

    Args:
        dt_code: what a detection ``[m]`` may pair with: a code of its image, or of image and class.
        dt_box: float64 ``[m, 4]``, x, y, width, height in pixels.
        gt_code: the same of the boxes, ``[n]``.
        gt_box: float64 ``[n, 4]``.
        crowd: bool ``[n]``, regions whose IoU divides by the detection's area.
    """
    order = stable_argsort(gt_code)
    found = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # coordinates near the largest float
        gt_box, crowd = gt_box[order], crowd[order]
        x, y = ((_Ends.of(dt_box, axis), _Ends.of(gt_box, axis)) for axis in (0, 1))
        dt_area, gt_area = (box[:, 2] * box[:, 3] for box in (dt_box, gt_box))
        for det, box in _same_code(dt_code, gt_code[order]):
            # most boxes of an image do not meet: only the rest are worth an IoU
            wide = _shared(*x, det, box)
            rows = np.flatnonzero(wide > 0)
            wide, det, box = wide[rows], det[rows], box[rows]
            high = _shared(*y, det, box)
            rows = np.flatnonzero(high > 0)
            det, box = det[rows], box[rows]
            # the operations and their order of pycocotools, as in `boxes.paired_iou`
            inter, alone = wide[rows] * high[rows], dt_area[det]
            iou = inter / np.where(crowd[box], alone, alone + gt_area[box] - inter)
            near = np.flatnonzero((iou >= least) & (iou > 0))
            found.append(Overlaps(det[near], order[box[near]], iou[near]))
    return Overlaps(
        np.concatenate([part.detection for part in found] or [np.empty(0, np.int64)]),
        np.concatenate([part.box for part in found] or [np.empty(0, np.int64)]),
        np.concatenate([part.iou for part in found] or [np.empty(0)]),
    )


@dataclass(frozen=True)
class _Ends:
    """Where boxes begin and end along an axis, ``[n]`` each."""

    low: Floats
    high: Floats

    @staticmethod
    def of(box: Floats, axis: int) -> "_Ends":
        low = np.ascontiguousarray(box[:, axis])
        return _Ends(low, low + box[:, axis + 2])


def _shared(dt: _Ends, gt: _Ends, det: Ints, box: Ints) -> Floats:
    """The length that the boxes of each pair share along an axis; not over 0 where they share none."""
    shared: Floats = np.minimum(dt.high[det], gt.high[box])
    shared -= np.maximum(dt.low[det], gt.low[box])
    return shared


def _same_code(dt_code: Ints, gt_code: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Chunks of all pairs with equal codes: rows of the detections and of the boxes, whose codes rise."""
    first, count = runs(gt_code, dt_code)
    rows = np.flatnonzero(count)
    first, count = first[rows], count[rows]
    total = np.cumsum(count)
    low = 0
    while low < len(rows):
        done = total[low - 1] if low else 0
        high = max(int(np.searchsorted(total, done + CHUNK, side="right")), low + 1)
        repeat = count[low:high]
        # the run's first box, plus the place inside the run
        box = np.repeat(first[low:high] - (total[low:high] - repeat - done), repeat)
        box += np.arange(len(box))
        yield np.repeat(rows[low:high], repeat), box
        low = high

"""Which detections overlap which boxes of the same image, whatever their classes."""

from collections.abc import Iterator

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.boxes import paired_iou
from detray.evaluate.kernel import Detections, GroundTruth

MAX_PAIRS = 1 << 20
"""Pairs whose IoU is computed at once: about 150 MB of scratch."""


def overlaps(
    gt: GroundTruth, dt: Detections, lowest: float, gt_rows: Ints | None = None, dt_rows: Ints | None = None
) -> tuple[Ints, Ints, Floats]:
    """Pairs of a detection and a box in the same image with IoU of at least ``lowest``.

    ``gt_rows`` and ``dt_rows`` restrict the search to these rows. A crowd region's IoU divides by
    the detection's area, as in COCO. Returns rows of ``dt``, rows of ``gt`` and IoU, shapes ``[k]``.
    """
    boxes = np.arange(len(gt)) if gt_rows is None else gt_rows
    detections = np.arange(len(dt)) if dt_rows is None else dt_rows
    near_pairs: list[tuple[Ints, Ints, Floats]] = []
    for det, box in image_pairs(dt.image, gt.image, detections, boxes):
        near = _meet(dt.box, det, gt.box, box)
        det, box = det[near], box[near]
        with np.errstate(over="ignore", invalid="ignore"):  # boxes near the largest float
            iou = paired_iou(dt.box[det], gt.box[box], gt.crowd[box])
        near = iou >= lowest
        near_pairs.append((det[near], box[near], iou[near]))
    if not near_pairs:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    det, box, iou = (np.concatenate(column) for column in zip(*near_pairs, strict=True))
    return det, box, iou


def image_pairs(dt_image: Ints, gt_image: Ints, dt_rows: Ints, gt_rows: Ints) -> Iterator[tuple[Ints, Ints]]:
    """All pairs of one of ``dt_rows`` and one of ``gt_rows`` in the same image, some at a time."""
    gt_rows = gt_rows[np.argsort(gt_image[gt_rows], kind="stable")]
    images = gt_image[gt_rows]
    first = np.searchsorted(images, dt_image[dt_rows], side="left")
    count = np.searchsorted(images, dt_image[dt_rows], side="right") - first
    some = np.flatnonzero(count)
    dt_rows, first, count = dt_rows[some], first[some], count[some]
    total = np.cumsum(count)
    low = 0
    while low < len(dt_rows):
        done = total[low - 1] if low else 0
        high = max(int(np.searchsorted(total, done + MAX_PAIRS, side="right")), low + 1)
        repeat = count[low:high]
        ends = np.cumsum(repeat)
        inside = np.arange(ends[-1]) - np.repeat(ends - repeat, repeat)
        yield np.repeat(dt_rows[low:high], repeat), gt_rows[np.repeat(first[low:high], repeat) + inside]
        low = high


def _meet(a: Floats, rows_a: Ints, b: Floats, rows_b: Ints) -> Flags:
    """Whether ``a[rows_a[i]]`` and ``b[rows_b[i]]`` meet along x: most pairs of an image do not, and
    these are not worth an IoU."""
    left_a, left_b = a[:, 0][rows_a], b[:, 0][rows_b]
    with np.errstate(over="ignore"):  # boxes near the largest float
        return (left_a < left_b + b[:, 2][rows_b]) & (left_b < left_a + a[:, 2][rows_a])


def best_of(rows: Ints, value: Floats, n: int) -> Ints:
    """For each of ``n`` rows the position in ``rows`` (and ``value``) with the highest value; -1: none.

    Of equal values the first position wins.
    """
    order = np.lexsort((-np.arange(len(rows)), value))
    best = np.full(n, -1)
    best[rows[order]] = order
    return best

"""Precision over recall from matches, as ``COCOeval.accumulate`` computes it.

Precision can only rise at a true positive, and recall only changes there, so envelope and
interpolation need the true positives alone, and these are few.
"""

import numpy as np
from numpy.typing import NDArray

from detray.boxes import IOU_THRESHOLDS, RECALL_POINTS
from detray.evaluate.order import falling, stable_argsort

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Words = NDArray[np.int16]


def average_precision(score: Floats, image: Ints, rank: Ints, matched: Words, ignored: Words, n_gt: int) -> Floats:
    """AP at each IoU threshold, shape ``[10]``, of the detections of one class.

    ``matched`` and ``ignored`` hold a bit for each threshold. NaN where ``n_gt`` is 0.
    """
    if not n_gt:
        return np.full(len(IOU_THRESHOLDS), np.nan)
    order = accumulation_order(score, image, rank)
    matched, ignored = matched[order], ignored[order]
    result = np.zeros(len(IOU_THRESHOLDS))
    for level in range(len(IOU_THRESHOLDS)):
        counts = np.flatnonzero(~ignored >> level & 1)
        place = np.flatnonzero(matched[counts] >> level & 1) + 1  # of each true positive, among those that count
        result[level] = interpolate(place, n_gt).mean()
    return result


def accumulation_order(score: Floats, image: Ints, rank: Ints) -> Ints:
    """Detections of one class by falling score, then image, then rank."""
    order = stable_argsort(rank - rank.min()) if len(rank) else np.arange(0)
    order = order[stable_argsort(image[order] - image.min())] if len(image) else order
    return order[falling(score[order])]


def required_hits(n_gt: int) -> Ints:
    """How many true positives each of COCO's 101 recall points needs, at least 1; shape ``[101]``."""
    recall = np.arange(1, n_gt + 1) / n_gt
    return np.searchsorted(recall, RECALL_POINTS, side="left") + 1


def interpolate(place: Ints, n_gt: int) -> Floats:
    """Envelope precision at the recall points, shape ``[101]``.

    ``place`` ``[k]`` rising: for each true positive its position, from 1, among the detections that
    count.
    """
    # the operations of pycocotools: tp / (fp + tp + spacing(1))
    precision = np.arange(1, len(place) + 1) / (place + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    needed = required_hits(n_gt)
    result = np.zeros(len(RECALL_POINTS))
    reached = needed <= len(place)
    result[reached] = envelope[needed[reached] - 1]
    return result

"""The areas of masks and their IoU, by pycocotools' own C code."""

from collections.abc import Sequence

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.evaluate.kernel.order import stable_argsort
from detray.evaluate.kernel.overlaps import Overlaps, overlapping
from detray.masks import Mask

TABLE = 1 << 20
"""Pairs of an image that are compared in one go; pycocotools keeps a number for each."""


def areas(masks: Sequence[Mask]) -> Floats:
    """Pixels of each mask, ``[n]``."""
    from pycocotools import mask

    # one by one: for a list it counts the masks in eight bits
    return np.array([mask.area(code) for code in masks], np.float64)


def mask_pairs(
    dt_image: Ints, dt_masks: Sequence[Mask], gt_image: Ints, gt_masks: Sequence[Mask], crowd: Flags
) -> Overlaps:
    """All pairs of the same image whose masks overlap, with the IoU of the masks; as `overlaps.overlapping`."""
    from pycocotools import mask

    boxes = [
        np.asarray(mask.toBbox(list(masks)), np.float64).reshape(-1, 4) if len(masks) else np.empty((0, 4))
        for masks in (dt_masks, gt_masks)
    ]
    near = overlapping(dt_image, boxes[0], gt_image, boxes[1], np.zeros(len(gt_image), np.bool_))
    iou = np.zeros(len(near.iou))
    order = stable_argsort(gt_image[near.box])
    image = gt_image[near.box[order]]
    for rows in np.split(order, np.flatnonzero(image[1:] != image[:-1]) + 1):
        if len(rows):
            det, det_place = np.unique(near.detection[rows], return_inverse=True)
            box, box_place = np.unique(near.box[rows], return_inverse=True)
            theirs, is_crowd = [gt_masks[row] for row in box], crowd[box].astype(np.uint8).tolist()
            step = max(TABLE // len(box), 1)
            for first in range(0, len(det), step):
                here = (det_place >= first) & (det_place < first + step)
                table = mask.iou([dt_masks[row] for row in det[first : first + step]], theirs, is_crowd)
                iou[rows[here]] = table[det_place[here] - first, box_place[here]]
    return Overlaps(near.detection, near.box, iou).take(iou > 0)

"""Pairs of boxes of one image that nearly coincide, without comparing all with all."""

import numpy as np
from numpy.typing import NDArray

from detray.audit.text import mix
from detray.audit.view import View
from detray.boxes import paired_iou

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MAX_STEPS = 256
"""Boxes to the right of each that it is compared with: bounds the work on hostile images."""


def close_pairs(view: View, rows: Ints, min_iou: float) -> tuple[Ints, Ints, Floats]:
    """Pairs among the annotations ``rows`` of one image with IoU of at least ``min_iou``.

    Returns:
        The row that stands first in the file, the other one, and their IoU, each ``[p]``.
    """
    rows = rows[view.image_of[rows] >= 0]
    boxes, image = view.boxes[rows], view.image_of[rows]
    order = np.lexsort((view.annotation_rows[rows], boxes[:, 0], image))
    rows, boxes, image = rows[order], boxes[order], image[order]
    left = boxes[:, 0]
    # IoU >= t leaves at most (1 - t) / t of a width between two left edges
    reach = left + boxes[:, 2] * ((1 - min_iou) / min_iou) + 1e-9
    found: list[tuple[Ints, Ints, Floats]] = []
    active = np.arange(len(rows))
    for step in range(1, MAX_STEPS + 1):
        active = active[active + step < len(rows)]
        active = active[(image[active + step] == image[active]) & (left[active + step] <= reach[active])]
        if not len(active):
            break
        iou = paired_iou(boxes[active], boxes[active + step])
        near = iou >= min_iou
        found.append((rows[active[near]], rows[active[near] + step], iou[near]))
    if not found:
        return rows[:0], rows[:0], np.zeros(0)
    a, b, iou = (np.concatenate(parts) for parts in zip(*found, strict=True))
    later = view.annotation_rows[a] > view.annotation_rows[b]
    return np.where(later, b, a), np.where(later, a, b), iou


def best_partners(first: Ints, second: Ints, iou: Floats, order_of: Ints) -> tuple[Ints, Ints, Floats]:
    """Of pairs, for each second row its partner with the highest IoU; on a tie the one first in the file."""
    order = np.lexsort((order_of[first], -iou, second))
    first, second, iou = first[order], second[order], iou[order]
    starts = np.ones(len(second), bool)
    starts[1:] = second[1:] != second[:-1]
    return first[starts], second[starts], iou[starts]


def repeated(view: View) -> tuple[Ints, Ints]:
    """Rows whose image, class, annotator, crowd flag and box all equal another's, and the first row of each
    one's group, by place in the file."""
    rows = np.flatnonzero(view.has_box & (view.image_ids != np.iinfo(np.int64).min))
    corners = (view.boxes[rows] + 0.0).view(np.uint64)  # + 0.0: no minus zero
    keys = mix(
        view.image_ids[rows],
        view.category_ids[rows],
        view.is_crowd[rows] + 2 * view.annotator_codes[rows],
        *corners.T,
    )
    order = np.argsort(keys)
    same = keys[order[1:]] == keys[order[:-1]]
    if not same.any():
        return rows[:0], rows[:0]
    inside = np.zeros(len(rows), bool)
    inside[1:] = same
    inside[:-1] |= same
    members = order[inside]
    members = members[np.lexsort((view.annotation_rows[rows[members]], keys[members]))]
    starts = np.ones(len(members), bool)
    starts[1:] = keys[members[1:]] != keys[members[:-1]]
    first = members[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    return rows[members[~starts]], rows[first[~starts]]

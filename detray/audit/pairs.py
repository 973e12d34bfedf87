"""Pairs of boxes of one image that nearly coincide, without comparing all with all."""

import numpy as np

from detray.arrays import Floats, Ints
from detray.audit.text import mix
from detray.audit.view import NO_ID, View
from detray.boxes import paired_iou

MAX_STEPS = 256
"""Boxes to the right of each that it is compared with: bounds the work on hostile images."""


_FAR = 1e6  # px: no picture is wider


def coinciding(view: View, min_iou: float) -> tuple[Ints, Ints, Floats]:
    """`close_pairs` among all objects of a view; what was found for a lower ``min_iou`` is used again."""
    for known, (first, second, iou) in view.pairs.items():
        if known <= min_iou:
            near = iou >= min_iou
            return first[near], second[near], iou[near]
    view.pairs[min_iou] = close_pairs(view, np.flatnonzero(view.is_object), min_iou)
    return view.pairs[min_iou]


def close_pairs(view: View, rows: Ints, min_iou: float) -> tuple[Ints, Ints, Floats]:
    """Pairs among the annotations ``rows`` of one image with IoU of at least ``min_iou``.

    Returns:
        The row that stands first in the file, the other one, and their IoU, each ``[p]``.
    """
    rows = rows[view.image_of[rows] >= 0]
    order, blur = _by_image_and_left(view, rows)
    found, is_whole = _among(view, rows[order], min_iou, blur)
    if not is_whole:
        # so many boxes over each other that the order of equal ones decides which are compared
        order = np.lexsort((view.annotation_rows[rows], view.x[rows], view.image_of[rows]))
        found, _ = _among(view, rows[order], min_iou, 0.0)
    a, b, iou = found
    later = view.annotation_rows[a] > view.annotation_rows[b]
    return np.where(later, b, a), np.where(later, a, b), iou


def _by_image_and_left(view: View, rows: Ints) -> tuple[Ints, float]:
    """The order of ``rows`` by image and left edge, and how far, in px, edges may stand in the wrong order."""
    image, left = view.image_of[rows], view.x[rows]
    if not len(rows) or (image[1:] < image[:-1]).any() or np.abs(left).max() > _FAR:
        return np.lexsort((left, image)), 0.0
    # images stand together already: one number sorts faster than two
    key = image * 4.0 + left / _FAR
    return np.argsort(key), 2 * _FAR * float(np.spacing(key.max()))


def _among(view: View, rows: Ints, min_iou: float, blur: float) -> tuple[tuple[Ints, Ints, Floats], bool]:
    """`sweep` of the annotations ``rows``, which are in order."""
    (first, second, iou), is_whole = sweep(view.boxes[rows], view.image_of[rows], min_iou, blur)
    return (rows[first], rows[second], iou), is_whole


def sweep(boxes: Floats, image: Ints, min_iou: float, blur: float = 0.0) -> tuple[tuple[Ints, Ints, Floats], bool]:
    """Pairs of boxes, and whether they are all: `MAX_STEPS` steps reach far enough.

    Args:
        boxes: ``x, y, width, height`` ``[n, 4]``, in the order of ``image`` and left edge.
        image: what only boxes of the same are paired in, ``[n]``.
        min_iou: of a pair, above 0.
        blur: how far edges may stand in the wrong order.

    Returns:
        Places of the first and second box of each pair, and their IoU, each ``[p]``.
    """
    left = boxes[:, 0]
    # IoU >= t leaves at most (1 - t) / t of a width between two left edges
    reach = left + boxes[:, 2] * ((1 - min_iou) / min_iou) + 1e-9 + blur
    active = np.arange(len(boxes))
    found = [(active[:0], active[:0], np.zeros(0))]
    for step in range(1, MAX_STEPS + 1):
        active = active[active + step < len(boxes)]
        active = active[(image[active + step] == image[active]) & (left[active + step] <= reach[active])]
        if not len(active):
            break
        iou = paired_iou(boxes[active], boxes[active + step])
        near = iou >= min_iou
        found.append((active[near], active[near] + step, iou[near]))
    first, second, iou = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return (first, second, iou), not len(active)


def best_partners(first: Ints, second: Ints, iou: Floats, order_of: Ints) -> tuple[Ints, Ints, Floats]:
    """Of pairs, for each second row its partner with the highest IoU; on a tie the one first in the file."""
    order = np.lexsort((order_of[first], -iou, second))
    first, second, iou = first[order], second[order], iou[order]
    starts = np.ones(len(second), bool)
    starts[1:] = second[1:] != second[:-1]
    return first[starts], second[starts], iou[starts]


def repeated(view: View) -> tuple[Ints, Ints]:
    """Rows whose image, class, annotator, crowd flag and box all equal another's, and the first row of each
    one's group, by place in the file. Boxes without an area are not compared."""
    rows = np.flatnonzero((view.shorter_side > 0) & view.has_box & (view.image_ids != NO_ID))
    sides = [(side[rows] + 0.0).view(np.uint64) for side in (view.x, view.y, view.width, view.height)]  # no minus zero
    drawn = view.is_crowd[rows] + 2 * view.annotator_codes[rows]
    keys = mix(view.image_ids[rows], view.category_ids[rows], drawn, *sides)
    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return rows[:0], rows[:0]
    members = np.flatnonzero(np.isin(keys, twice))
    members = members[np.lexsort((view.annotation_rows[rows[members]], keys[members]))]
    starts = np.ones(len(members), bool)
    starts[1:] = keys[members[1:]] != keys[members[:-1]]
    first = members[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    return rows[members[~starts]], rows[first[~starts]]

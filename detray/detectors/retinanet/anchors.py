"""Anchor boxes, their match with ground truth, and the encoding of boxes against them.

Corners are ``xmin, ymin, xmax, ymax`` in pixels of the detector's input.
Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.
"""

import numpy as np

from detray.arrays import Floats32, Ints32
from detray.detectors.settings import AnchorSettings, DetectorSettings
from detray.errors import DetrayError

SCALES = tuple(2 * 2 ** (octave / 3) for octave in range(3))
"""Side of the default anchors in cells: two, in three steps of an octave."""

POSITIVE_IOU = 0.5
NEGATIVE_IOU = 0.4
VARIANCE: Floats32 = np.array([0.1, 0.1, 0.2, 0.2], np.float32)
"""What encoded centres and log sizes are divided by, so that targets have about unit size (SSD)."""

BACKGROUND = -1
IGNORED = -2

Shapes = dict[int, tuple[tuple[float, float], ...]]
"""By pyramid level: width and height of its anchors, px of the input; as many at each level."""


def anchor_shapes(detector: DetectorSettings) -> Shapes:
    """The anchors that are configured.

    Raises:
        DetrayError: they are ``auto``, and were not fitted to any boxes (see `fitting.fitted`).
    """
    chosen = detector.anchors
    if chosen == "default":
        return {level: tuple((side * (1 << level),) * 2 for side in SCALES) for level in detector.levels}
    if not isinstance(chosen, AnchorSettings):
        raise DetrayError("detector.anchors is auto, which only a training fits; write them out")
    if chosen.shapes:
        return dict(zip(detector.levels, chosen.shapes, strict=True))
    lists = chosen.sizes
    if len(lists) == 1:
        lists = tuple(tuple(size * 2**step for size in lists[0]) for step in range(len(detector.levels)))
    roots = [aspect**0.5 for aspect in chosen.aspects]
    return {
        level: tuple((size * root, size / root) for size in sizes for root in roots)
        for level, sizes in zip(detector.levels, lists, strict=True)
    }


def make_anchors(detector: DetectorSettings) -> Floats32:
    """All anchors of an input: corners ``[a, 4]``.

    Ordered by level, row, column, shape: as the heads' outputs are flattened.
    """
    levels = []
    for level, shapes in anchor_shapes(detector).items():
        stride = 1 << level
        y, x = np.meshgrid(
            (np.arange(-(-detector.input_height // stride), dtype=np.float32) + 0.5) * stride,
            (np.arange(-(-detector.input_width // stride), dtype=np.float32) + 0.5) * stride,
            indexing="ij",
        )
        centres = np.stack([x, y], axis=-1)[:, :, None, :]
        half = np.array(shapes, np.float32)[None, None] / 2
        levels.append(np.concatenate([centres - half, centres + half], axis=-1).reshape(-1, 4))
    return np.concatenate(levels)


def iou(anchors: Floats32, boxes: Floats32) -> Floats32:
    """IoU of ``anchors [a, 4]`` with ``boxes [n, 4]``, both corners: ``[n, a]``, float32 for speed."""
    left, top, right, bottom = np.ascontiguousarray(anchors.T)
    x1, y1, x2, y2 = boxes.T[:, :, None]
    inter, other = np.minimum(right, x2), np.maximum(left, x1)
    inter -= other
    np.maximum(inter, 0, out=inter)
    high = np.minimum(bottom, y2)
    high -= np.maximum(top, y1, out=other)
    np.maximum(high, 0, out=high)
    inter *= high
    union = np.add((right - left) * (bottom - top), (x2 - x1) * (y2 - y1), out=other)
    union -= inter
    return np.divide(inter, union, out=inter)


def match(anchors: Floats32, boxes: Floats32, labels: Ints32, crowd: int) -> tuple[Ints32, Floats32]:
    """What each anchor is to learn from one image.

    An anchor is an object from `POSITIVE_IOU` on and background below `NEGATIVE_IOU`; each box has at
    least its best anchor. Anchors mostly inside a crowd region that are no object are ignored.

    Args:
        anchors: corners ``[a, 4]``.
        boxes: corners ``[n, 4]`` of positive area.
        labels: class index of each box, or ``crowd``.
        crowd: the label of crowd regions.

    Returns:
        ``[a]``: class index, `BACKGROUND` or `IGNORED`; and ``[a, 4]``: encoded boxes, 0 where no object.
    """
    classes = np.full(len(anchors), BACKGROUND, np.int32)
    encoded = np.zeros((len(anchors), 4), np.float32)
    region = labels == crowd
    if region.any():
        inside = np.minimum(anchors[:, None, 2:], boxes[None, region, 2:]) - np.maximum(
            anchors[:, None, :2], boxes[None, region, :2]
        )
        share = np.prod(np.maximum(inside, 0), axis=-1) / np.prod(anchors[:, 2:] - anchors[:, :2], axis=-1)[:, None]
        classes[share.max(axis=1) > POSITIVE_IOU] = IGNORED
        boxes, labels = boxes[~region], labels[~region]
    if len(boxes):
        overlap = iou(anchors, boxes)
        owner = overlap.argmax(axis=0)
        best = overlap[owner, np.arange(len(anchors))]
        forced = overlap.argmax(axis=1)
        owner[forced] = np.arange(len(boxes))
        best[forced] = 1
        classes[best >= NEGATIVE_IOU] = IGNORED
        positive = best >= POSITIVE_IOU
        classes[positive] = labels[owner[positive]]
        encoded[positive] = encode(boxes[owner[positive]], anchors[positive])
    return classes, encoded


def encode(boxes: Floats32, anchors: Floats32) -> Floats32:
    """Boxes against their anchors, corners ``[n, 4]`` both: offset of centre, log of size, over `VARIANCE`."""
    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    encoded = np.concatenate([centres / sizes, np.log((boxes[:, 2:] - boxes[:, :2]) / sizes)], axis=1)
    return np.asarray(encoded / VARIANCE, np.float32)

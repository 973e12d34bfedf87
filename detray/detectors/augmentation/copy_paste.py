"""Objects of one picture set into another, cut along their outlines or else their boxes."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats32, Ints32, Pixels
from detray.detectors.augmentation.augment import MIN_VISIBILITY, Scene


@dataclass(frozen=True)
class Cutting:
    """An object as it is cut out.

    ``pixels``: uint8 ``[h, w, 3]``; ``mask``: ``[h, w]``, which of them are its own; ``label``: its class.
    """

    pixels: Pixels
    mask: Flags
    label: int


def paste(scene: Scene, cuttings: list[Cutting], random: np.random.Generator) -> Scene:
    """A copy of ``scene`` with each object somewhere in it, whole, over what is there.

    Boxes of which less than `MIN_VISIBILITY` is left to see are dropped; crowd regions stay.
    """
    pixels, boxes, labels = scene.pixels.copy(), scene.boxes, scene.labels
    for cutting in cuttings:
        height, width = cutting.mask.shape
        left = int(random.integers(pixels.shape[1] - width + 1))
        top = int(random.integers(pixels.shape[0] - height + 1))
        pixels[top : top + height, left : left + width][cutting.mask] = cutting.pixels[cutting.mask]
        seen = (labels < 0) | (_covered(boxes, cutting.mask, left, top) <= 1 - MIN_VISIBILITY)
        box = np.array([[left, top, left + width, top + height]], np.float32)
        boxes = np.concatenate([boxes[seen], box])
        labels = np.concatenate([labels[seen], np.array([cutting.label], np.int32)])
    return Scene(pixels, boxes, labels)


def _covered(boxes: Floats32, mask: Flags, left: int, top: int) -> Floats32:
    """Share of each box that ``mask``, at ``left`` and ``top``, lies on, ``[n]``."""
    height, width = mask.shape
    sums = np.pad(mask.cumsum(0, np.int32).cumsum(1), ((1, 0), (1, 0)))
    ends = np.rint(boxes - np.array([left, top, left, top], np.float32)).astype(np.int64)
    x1, x2 = np.clip(ends[:, 0], 0, width), np.clip(ends[:, 2], 0, width)
    y1, y2 = np.clip(ends[:, 1], 0, height), np.clip(ends[:, 3], 0, height)
    inside = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.asarray(inside / np.maximum(areas, 1), np.float32)


def cut(pixels: Pixels, box: Floats32, label: int, outline: Flags | None) -> Cutting | None:
    """The object in ``box`` (corners, px) of a picture; None if it is smaller than a pixel.

    ``outline``: mask of the box's own pixels in any resolution; None: all of it.
    """
    import cv2

    left, top = np.floor(box[:2]).astype(int).tolist()
    right, bottom = np.ceil(box[2:]).astype(int).tolist()
    part = pixels[top:bottom, left:right]
    height, width = part.shape[:2]
    if not height or not width:
        return None
    mask = np.ones((height, width), bool)
    if outline is not None and outline.size:
        mask = cv2.resize(outline.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return Cutting(part, mask, label) if mask.any() else None


def labels_of(names: list[str], classes: tuple[str, ...]) -> Ints32:
    """The labels, positions in ``names``, of the classes that are pasted."""
    return np.array([label for label, name in enumerate(names) if not classes or name in classes], np.int32)

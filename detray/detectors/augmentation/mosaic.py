"""Four pictures in one (Bochkovskiy et al., YOLOv4, 2020).

Albumentations' own builds compositions for each picture, which takes six times as long as all the rest.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np

from detray.detectors.augmentation.augment import MIN_VISIBILITY, Scene

OTHERS = 3
"""Pictures beside the first."""

MARGIN = 0.3
"""Share of the room to move that the window keeps from each end, so that all four are seen."""


def mosaic(scenes: Sequence[Scene], cell: float, random: np.random.Generator) -> Scene:
    """A picture of the size of each of the `OTHERS` + 1 ``scenes``: a window of these side by side, in any order.

    ``cell``: side of each, as a share of the window's. Boxes of which less than `MIN_VISIBILITY` is seen are dropped.
    """
    import cv2

    height, width = scenes[0].pixels.shape[:2]
    high, wide = ceil(height * cell), ceil(width * cell)
    top = round(float(random.uniform(MARGIN, 1 - MARGIN)) * (2 * high - height))
    left = round(float(random.uniform(MARGIN, 1 - MARGIN)) * (2 * wide - width))
    whole = np.empty((2 * high, 2 * wide, 3), np.uint8)
    boxes, labels = [], []
    for place, number in enumerate(random.permutation(len(scenes)).tolist()):
        scene, y, x = scenes[number], place // 2 * high, place % 2 * wide
        whole[y : y + high, x : x + wide] = cv2.resize(scene.pixels, (wide, high), interpolation=cv2.INTER_AREA)
        scale, shift = np.tile([wide / width, high / height], 2), np.tile([x - left, y - top], 2)
        boxes.append(scene.boxes * scale + shift)
        labels.append(scene.labels)
    corners = np.concatenate(boxes)
    seen = np.clip(corners, 0, np.tile([width, height], 2))
    share = np.prod(seen[:, 2:] - seen[:, :2], axis=1) / np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    kept = share >= MIN_VISIBILITY
    pixels = np.ascontiguousarray(whole[top : top + height, left : left + width])
    return Scene(pixels, seen[kept].astype(np.float32), np.concatenate(labels)[kept])

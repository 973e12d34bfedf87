"""Faults of the mapping between the files, from the data of some images: ids of images and classes, boxes."""



import numpy as np

from detray.diagnose import thresholds as t
from detray.diagnose.overlap import image_pairs
from detray.diagnose.pairing import recall_of, sample_images, spread
from detray.diagnose.reading import Pairs, ReadingFault, find_reading
from detray.diagnose.scene import Scene
from detray.evaluate.kernel import Ints

MAX_COMPARED = 3000
"""Pairs of a box and a detection on which readings of all boxes are compared."""
MAX_COMPARED_CLASS = 600
"""The same for the boxes of one class."""


def is_suspicious(scene: Scene) -> bool:
    """Whether so few boxes are hit by anything that ids or formats may be wrong throughout."""
    return len(scene.dt) > 0 and recall_of(scene, sample_images(scene)) <= 1 - t.RECALL_RAISE


def reading_of_all(scene: Scene) -> ReadingFault | None:
    """Whether all boxes of one side are in another format, whatever the classes."""
    images = sample_images(scene)
    boxes = np.flatnonzero(np.isin(scene.gt.image, images) & ~scene.gt.crowd)
    detections = np.flatnonzero(np.isin(scene.dt.image, images))
    return find_reading(compared(scene, boxes, detections, MAX_COMPARED))


def reading_of_class(scene: Scene, category: int) -> ReadingFault | None:
    """Whether the boxes of one class, on one side, are in another format."""
    boxes = np.flatnonzero((scene.gt.category == category) & ~scene.gt.crowd)
    detections = np.flatnonzero(scene.dt.category == category)
    return find_reading(compared(scene, boxes, detections, MAX_COMPARED_CLASS))


def compared(scene: Scene, boxes: Ints, detections: Ints, limit: int) -> Pairs:
    """Pairs of ``boxes`` and the best-scoring ``detections`` of the same images, about ``limit`` of them.

    Of each image as many detections as twice its boxes and three more: noise would fit anything.
    """
    gt, dt = scene.gt, scene.dt
    images, first, n_boxes = np.unique(gt.image[boxes], return_index=True, return_counts=True)
    detections = detections[np.lexsort((dt.rank[detections], -dt.score[detections], dt.image[detections]))]
    place = np.searchsorted(images, dt.image[detections]).clip(0, max(len(images) - 1, 0))
    there = images[place] == dt.image[detections] if len(images) else np.zeros(len(detections), np.bool_)
    detections, place = detections[there], place[there]
    order = np.arange(len(detections)) - np.searchsorted(place, place)
    keep = order < 2 * n_boxes[place] + 3
    detections, place = detections[keep], place[keep]
    n_pairs = np.bincount(place, minlength=len(images)) * n_boxes
    by_chance = np.argsort(spread(images), kind="stable")
    chosen = images[by_chance[: int(np.searchsorted(np.cumsum(n_pairs[by_chance]), limit)) + 1]]
    boxes = boxes[np.isin(gt.image[boxes], chosen)]
    detections = detections[np.isin(dt.image[detections], chosen)]
    parts = list(image_pairs(dt.image, gt.image, detections, boxes))
    det = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
    box = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, np.int64)
    number = np.searchsorted(boxes, box)
    size = scene.images.size_of(gt.image[box])
    return Pairs(gt.box[box], dt.box[det], size, number, len(boxes))



"""The search for faults of a whole split, in the order in which they hide each other."""

from collections.abc import Callable, Iterator

import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose.mapping.box_encoding import RECALL_RAISE, CandidatePairs, EncodingFault, find_encoding
from detray.diagnose.mapping.pairing import Listing, Named, Pairing, find_pairing, recall_of
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.image_set import ImageSet
from detray.diagnose.observation.overlap import image_pairs
from detray.diagnose.observation.rows import HIT, BoxRows, DetectionRows
from detray.evaluate.kernel import Detections, GroundTruth
from detray.flow.sample import spread

MAX_COMPARED = 3000
"""Pairs of a box and a detection on which readings of all boxes are compared."""
MAX_COMPARED_CLASS = 1500
"""The same for the boxes of one class."""


def find_split_faults(
    sample: ImageSet,
    listing: Listing,
    named: Named,
    fetch: Callable[[Ints], Detections],
    boxes: Callable[[], Iterator[GroundTruth]],
) -> tuple[MappingFaults, Pairing | None]:
    """Faults of all boxes or of all image ids, and how to rename the images where that is known.

    Args:
        sample: some images, as `pairing.sample_images` chooses them.
        listing, named, fetch, boxes: as `pairing.find_pairing` takes them.
    """
    if recall_of(sample.gt, sample.dt) > 1 - RECALL_RAISE:
        return MappingFaults(), None
    reading = reading_of_all(sample)
    if reading is not None:
        return MappingFaults(reading=reading), None
    found = find_pairing(sample.gt, listing, named, fetch, boxes)
    if found is None:
        return MappingFaults(), None
    fault, pairing = found
    return MappingFaults(pairing=fault), pairing


def reading_of_all(sample: ImageSet) -> EncodingFault | None:
    """Whether all boxes of one side are in another format, whatever the classes; from some images."""
    gt, dt, size_of = take(sample.gt, ~sample.gt.crowd), sample.dt, sample.images.size_of
    return find_encoding(compared(gt.image, gt.box, size_of(gt.image), dt, MAX_COMPARED))


def reading_of_class(boxes: BoxRows, detections: DetectionRows) -> EncodingFault | None:
    """Whether the boxes of one class, on one side, are in another format."""
    if len(boxes) and (boxes.outcome == HIT).mean() > 1 - RECALL_RAISE:
        return None
    # pictures are resized for all classes alike
    return find_encoding(
        compared(boxes.image, boxes.box, boxes.image_size, detections, MAX_COMPARED_CLASS), with_sizes=False
    )


def compared(image: Ints, box: Floats, size: Floats, dt: Detections | DetectionRows, limit: int) -> CandidatePairs:
    """Pairs of boxes and the best-scoring detections of the same images, about ``limit`` of them.

    ``image`` ``[n]``, ``box`` ``[n, 4]`` and image ``size`` ``[n, 2]`` are those of the boxes. Of each
    image as many detections as twice its boxes and three more: noise would fit anything.
    """
    images, n_boxes = np.unique(image, return_counts=True)
    rows = np.flatnonzero(np.isin(dt.image, images))
    rows = rows[np.lexsort((dt.rank[rows], -dt.score[rows], dt.image[rows]))]
    place = np.searchsorted(images, dt.image[rows])
    keep = np.arange(len(rows)) - np.searchsorted(place, place) < 2 * n_boxes[place] + 3
    rows, place = rows[keep], place[keep]
    n_pairs = np.bincount(place, minlength=len(images)) * n_boxes
    order = np.argsort(spread(images), kind="stable")
    chosen = images[order[: int(np.searchsorted(np.cumsum(n_pairs[order]), limit)) + 1]]
    kept = np.flatnonzero(np.isin(image, chosen))
    rows = rows[np.isin(dt.image[rows], chosen)]
    det, own = (
        np.concatenate([np.empty(0, np.int64), *parts])
        for parts in (zip(*image_pairs(dt.image, image, rows, kept), strict=True) if len(rows) else ((), ()))
    )
    return CandidatePairs(box[own], dt.box[det], size[own], np.searchsorted(kept, own), len(kept))

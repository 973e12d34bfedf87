"""Whether a cap on the detections of an image cut the class."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.boxes import BoxEvidence
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.observation.counts import MIN_HITS, Counts

CAPPED_IMAGES = Criterion(0.1, f"share of the images that have exactly the highest number of detections: {SUITE}")
CAP_RECALL_GAP = Criterion(0.2, f"recall lower in images at the cap: {SUITE}")
CAPPED_MISSED_SHARE = Criterion(0.5, "most of the missed boxes")
FEW_REST = Criterion(0.2, f"share of the boxes in images below the cap that is too small to compare with: {SUITE}")


@dataclass(frozen=True)
class Saturation:
    """A cap that images reach."""

    cap: int
    full: Flags
    """Boxes ``[n]`` in images that reach it."""
    recall: float
    """Recall of these."""
    recall_elsewhere: float | None
    """Recall of the others; None if there are none."""


@dataclass(frozen=True)
class CapEvidence:
    """The images of one class that hold as many detections as any does."""

    result: ClassResult
    boxes: BoxEvidence
    max_detections: int
    """That the evaluation takes an image and class."""
    image_detections: Counts
    """By number of detections, of all classes: images with so many."""

    @cached_property
    def beyond(self) -> Flags:
        """Detections beyond those that count an image and class, in images that hold more boxes of it."""
        images, n = np.unique(self.result.boxes.image, return_counts=True)
        return ~self.result.detections.kept & np.isin(self.result.detections.image, images[n > self.max_detections])

    @property
    def is_cut_by_evaluation(self) -> bool:
        """Whether most of what is missed lies in images where the evaluation leaves detections out."""
        cut = np.isin(self.result.boxes.image, self.result.detections.image[self.beyond])
        missed = self.result.missed
        return bool(self.beyond.any()) and int((missed & cut).sum()) >= CAPPED_MISSED_SHARE * int(missed.sum())

    @property
    def is_capped(self) -> bool:
        """Whether most missed boxes are lost in images that a cap on their detections cuts."""
        if self.saturation is None:
            return False
        lost = int((self.boxes.lost & self.saturation.full).sum())
        return lost >= MIN_HITS and lost >= CAPPED_MISSED_SHARE * int(self.result.missed.sum())

    @cached_property
    def saturation(self) -> Saturation | None:
        """A cap on the detections of an image, of all classes or of this one; None if there is no sign of one."""
        boxes, missed = self.result.boxes, self.result.missed
        images, counts = np.unique(self.result.detections.image, return_counts=True)
        place = np.searchsorted(images, boxes.image).clip(0, max(len(images) - 1, 0))
        own = np.where(images[place] == boxes.image, counts[place], 0) if len(images) else np.zeros(len(boxes), int)
        per_count = {int(k): int(n) for k, n in zip(*np.unique(counts, return_counts=True), strict=True)}
        for histogram, number in ((self.image_detections, boxes.image_detections), (per_count, own)):
            cap = _saturated(histogram)
            full = number == cap
            if cap is None or not full.any():
                continue
            recall = 1 - float(missed[full].mean())
            rest = 1 - float(missed[~full].mean()) if not full.all() else None
            is_better_elsewhere = rest is not None and rest >= recall + CAP_RECALL_GAP
            is_full_of_boxes = boxes.image_boxes[full].mean() > cap and (rest is None or (~full).mean() < FEW_REST)
            if is_better_elsewhere or is_full_of_boxes:
                return Saturation(cap, full, recall, rest)
        return None


def _saturated(histogram: Counts) -> int | None:
    """The highest number of detections of any image, if many images have exactly that many."""
    if not histogram:
        return None
    cap: int = max(histogram)
    n, below = histogram[cap], histogram.get(cap - 1, 0)
    return cap if n >= max(3, CAPPED_IMAGES * sum(histogram.values())) and n >= 2 * below else None

"""What became of a class's boxes: met, taken for another class, hit loosely, or lost."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Floats
from detray.audit.rules.reach import is_reached
from detray.boxes import Reach
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.chance import Auc
from detray.diagnose.evidence.confusion import ConfusionEvidence
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.scores import ScoreEvidence
from detray.diagnose.observation.counts import FEW_BOXES
from detray.diagnose.observation.rows import NONE

SMALL_AT_INPUT = Criterion(16, "px: two strides of the finest level of most detectors, 8 px (Lin et al., FPN, 2017)")


@dataclass(frozen=True)
class BoxEvidence:
    """The boxes of one class; all masks have shape ``[n]``."""

    result: ClassResult
    scores: ScoreEvidence
    confusion: ConfusionEvidence
    input_size: tuple[int, int] | None
    """Width and height that the model resizes pictures to."""

    @cached_property
    def loose(self) -> Flags:
        """Missed boxes, not confused, that a confident detection of the class overlaps by .1."""
        boxes = self.result.boxes
        near = (boxes.detection != NONE) & (np.nan_to_num(boxes.score, nan=-1.0) >= self.scores.floor)
        return self.result.missed & ~self.confusion.boxes & near

    @cached_property
    def lost(self) -> Flags:
        """Missed boxes with an area that no confident detection explains."""
        return self.result.missed & ~self.result.flat & ~self.confusion.boxes & ~self.loose

    @cached_property
    def n_lost(self) -> int:
        """How many these are."""
        return int(self.lost.sum())

    @property
    def met(self) -> Flags:
        """Boxes that the class's own detections meet, be it loosely. A box that another class covers is
        left out: whether the class's own detection would have met it cannot be known; so is one without area."""
        return ~self.lost & ~self.result.flat & ~self.confusion.boxes

    @property
    def n_met(self) -> int:
        """How many these are, or more: errors at two or three boxes are not most of what there is to see."""
        return max(int(self.met.sum()), self._enough)

    @property
    def n_seen(self) -> int:
        """The same with the boxes that a confident detection of another class covers; all of a class that
        is never detected."""
        if not len(self.result.detections):
            return self.result.n_boxes
        return max(self.result.n_boxes - self.n_lost - int(self.result.flat.sum()), self._enough)

    @property
    def _enough(self) -> int:
        """Ten boxes, or half of all where they are few."""
        return min((self.result.n_boxes + 1) // 2, int(FEW_BOXES))

    @property
    def usually_missed(self) -> float:
        """The share of their boxes that the other classes that work miss, in the median; 0 if there is none."""
        return self.scores.reference.usually_missed

    def as_usually_found(self, rows: Flags) -> Flags:
        """As many of the boxes ``rows``, evenly among them, as the other classes that work find."""
        place = np.flatnonzero(rows)
        n = round(len(place) * (1 - self.usually_missed))
        chosen = np.zeros(len(rows), np.bool_)
        chosen[place[np.arange(n) * len(place) // max(n, 1)]] = True
        return chosen

    @cached_property
    def sizes(self) -> Floats:
        """Root of each box's area in pixels, after the model's resize where that is known."""
        boxes = self.result.boxes
        side = np.sqrt(boxes.box[:, 2:].clip(0)).prod(axis=1)  # an area may be beyond the largest float
        if self.input_size is None:
            return side
        is_known = np.isfinite(boxes.image_size).all(axis=1)
        return np.where(is_known, side * np.sqrt(np.prod(self.input_size) / boxes.image_size.prod(axis=1)), side)

    @property
    def scale(self) -> float:
        """Px of the input a px of its images, in the middle; 1 where either is not known."""
        sizes = self.result.boxes.image_size
        known = sizes[np.isfinite(sizes).all(axis=1)]
        if self.input_size is None or not len(known):
            return 1.0
        return float(np.sqrt(np.prod(self.input_size) / np.median(known.prod(axis=1))))

    @property
    def median_side(self) -> float:
        """Of its boxes; infinite where the model's input is not known, or there is none."""
        is_known = self.input_size is not None and len(self.sizes) > 0
        return float(np.median(self.sizes)) if is_known else np.inf

    def below_anchors(self, reach: Reach) -> float:
        """The share of its boxes that no anchor reaches since they are smaller than the smallest."""
        if not reach.anchors or not len(self.sizes):
            return 0.0
        anchors = np.array(reach.anchors)
        sides = self._sides_at(reach)
        is_small = sides.prod(axis=1) < anchors.prod(axis=1).min()
        sides = np.where(is_small[:, None], sides, 1.0)
        return float((is_small & ~is_reached(sides, anchors)).mean())

    def unreached(self, reach: Reach) -> float:
        """The share of its boxes that no anchor reaches; all where the anchors are not known."""
        sides = self._sides_at(reach)
        sides = np.where(np.isfinite(sides).all(axis=1, keepdims=True), sides, 1e-9)
        return 1.0 - float(is_reached(sides, np.array(reach.anchors)).mean()) if reach.anchors and len(sides) else 1.0

    def _sides_at(self, reach: Reach) -> Floats:
        """Widths and heights of its boxes at the input, px; infinite where the image's size is not known."""
        boxes = self.result.boxes
        scale = np.array([reach.input_width, reach.input_height]) / boxes.image_size
        return np.where(np.isfinite(scale), boxes.box[:, 2:].clip(1e-9) * scale, np.inf)

    @cached_property
    def size_auc(self) -> Auc | None:
        """The chance that a box that is met is larger than a lost one; None without either."""
        return Auc.of(self.sizes[self.met], self.sizes[self.lost])

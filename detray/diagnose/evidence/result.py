"""One class's boxes and detections, and how it scores."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Floats
from detray.diagnose.evidence.chance import Auc
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.overlap import best_of, image_pairs
from detray.diagnose.observation.rows import HIT, IGNORED, TIGHT_LEVEL, TRUE, BoxRows, DetectionRows
from detray.evaluate.kernel.accumulate import average_precision

MARGIN = 0.1
"""Of its sides: by so much a detection may miss the middle of a box that has no area and stand over it."""


@dataclass(frozen=True)
class ClassResult:
    """One class's boxes ``[n]`` and detections ``[m]``, as given or with mapping faults repaired."""

    boxes: BoxRows
    detections: DetectionRows

    @property
    def n_boxes(self) -> int:
        """Boxes, crowds left out."""
        return len(self.boxes)

    @cached_property
    def true(self) -> Flags:
        """Detections that matched at IoU .5."""
        return self.outcomes(TRUE)

    @cached_property
    def n_true(self) -> int:
        """How many these are."""
        return int(self.true.sum())

    @cached_property
    def true_scores(self) -> Floats:
        """Their scores."""
        return self.detections.score[self.true]

    @cached_property
    def false(self) -> Flags:
        """Kept detections that count as false at IoU .5."""
        rows = self.detections
        return rows.kept & (rows.outcome != TRUE) & (rows.outcome != IGNORED)

    def outcomes(self, outcome: int) -> Flags:
        """The detections among the kept ones with this outcome."""
        return self.detections.kept & (self.detections.outcome == outcome)

    @cached_property
    def missed(self) -> Flags:
        """Boxes that no detection of the class matched at IoU .5."""
        return self.boxes.outcome != HIT

    @cached_property
    def flat(self) -> Flags:
        """Boxes without area: a width or height of 0 or less, which nothing can match."""
        return ~(self.boxes.box[:, 2] > 0) | ~(self.boxes.box[:, 3] > 0)

    @cached_property
    def over_flat(self) -> Flags:
        """For each box without area the surest false detection, ``[m]``, that stands over its middle."""
        boxes, rows = self.boxes, self.detections
        over = np.zeros(len(rows), np.bool_)
        middle = boxes.box[:, :2] + boxes.box[:, 2:] / 2
        for det, box in image_pairs(rows.image, boxes.image, np.flatnonzero(self.false), np.flatnonzero(self.flat)):
            size = rows.box[det, 2:]
            away = np.abs(middle[box] - rows.box[det, :2] - size / 2)
            near = (away <= (0.5 + MARGIN) * size).all(axis=1)
            best = best_of(box[near], rows.score[det[near]], len(boxes))
            over[det[near][best[best >= 0]]] = True
        return over

    @property
    def recall(self) -> float:
        """The share of the boxes that are matched at IoU .5; 0 without boxes."""
        return 1 - float(self.missed.mean()) if self.n_boxes else 0.0

    @cached_property
    def untight_share(self) -> float | None:
        """The share of the true detections that fail at IoU .75; None without any."""
        words = self.detections.matched[self.true]
        return float((words >> TIGHT_LEVEL & 1 == 0).mean()) if len(words) else None

    @cached_property
    def ap(self) -> float | None:
        """COCO AP; None without boxes."""
        return None if self._levels is None else float(self._levels.mean())

    @cached_property
    def ap50(self) -> float | None:
        """AP at IoU .5; None without boxes."""
        return None if self._levels is None else float(self._levels[0])

    @cached_property
    def _levels(self) -> Floats | None:
        """AP at each of COCO's IoU thresholds; None without boxes."""
        if not self.n_boxes:
            return None
        rows = take(self.detections, self.detections.kept)
        return average_precision(rows.score, rows.image, rows.rank, rows.matched, rows.ignored, self.n_boxes)

    def auc(self, false: Flags, floor: float) -> Auc | None:
        """The chance that a true detection scores above one of ``false``, of those that score at
        least ``floor``; None without either."""
        true_scores, false_scores = self.true_scores, self.detections.score[false]
        return Auc.of(true_scores[true_scores >= floor], false_scores[false_scores >= floor])

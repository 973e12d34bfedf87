"""What a class's false detections are, and whether they outrank the true ones."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.chance import Auc
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.scores import FAR_BELOW, ScoreEvidence
from detray.diagnose.observation.rows import BACKGROUND, DUPLICATE, LOOSE

COPY_IOU = Criterion(0.3, f"a loose detection overlapping a found box by it is a copy, below it a neighbour: {SUITE}")
ONE_KIND = Criterion(0.7, f"share of the outscoring false detections that are of one kind: {SUITE}")


@dataclass(frozen=True)
class DetectionEvidence:
    """The detections of one class; all masks have shape ``[m]``."""

    result: ClassResult
    scores: ScoreEvidence

    @cached_property
    def _beside(self) -> Flags:
        """Loose detections whose box another detection has, and that no missed box explains: copies of
        it, or another object nearby."""
        rows = self.result.detections
        return self.result.outcomes(LOOSE) & rows.box_hit & ~rows.near_missed

    @cached_property
    def repeated(self) -> Flags:
        """Detections of objects that another detection has."""
        return self.result.outcomes(DUPLICATE) | (self._beside & (self.result.detections.iou >= COPY_IOU))

    @cached_property
    def on_background(self) -> Flags:
        """Detections where no box of the class stands, be it without area, or only one that another detection has."""
        beside = self._beside & (self.result.detections.iou < COPY_IOU)
        return (self.result.outcomes(BACKGROUND) | beside) & ~self.result.over_flat

    @cached_property
    def false_auc(self) -> Auc | None:
        """The chance that a true detection scores above a confident false one that repeats none; None
        without either."""
        return self.result.auc(self.result.false & ~self.repeated, self.scores.floor)

    @cached_property
    def outranking(self) -> Flags:
        """False detections, repeating none, that score above the median of the true ones."""
        return self.result.false & ~self.repeated & (self.result.detections.score >= self.scores.median)

    @cached_property
    def has_one_kind_of_false(self) -> bool:
        """Whether most false detections that outscore true ones are of one kind, so that this kind and
        not the ranking is what is wrong: the true ones score as usual, or the kind is no background."""
        kinds = np.bincount(self.result.detections.outcome[self.outranking], minlength=BACKGROUND + 1)
        if not kinds.sum() or kinds.max() < ONE_KIND * kinds.sum():
            return False
        if self.scores.are_depressed is not None:
            return not self.scores.are_depressed
        # no other class tells how true detections score here
        outranking = self.result.detections.score[self.outranking]
        return bool(self.scores.median >= FAR_BELOW * np.median(outranking))

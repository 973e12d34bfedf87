"""Confident detections of a class where no box stands: errors, or objects that were not annotated."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.chance import Auc
from detray.diagnose.evidence.detections import DetectionEvidence
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.scores import ScoreEvidence
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.rows import first_of_each_place

LIKE_TRUE_AUC = Criterion(0.7, f"above it false detections score clearly less than true ones: {SUITE}")
LIKE_TRUE_UPPER_AUC = Criterion(0.6, "the same among the scores above the median of the true ones; chance is .5")
ABOVE_CLUTTER = Criterion(2, f"times the false detections that the classes that work have at such scores: {SUITE}")


@dataclass(frozen=True)
class BackgroundEvidence:
    """The detections of one class on background; all masks have shape ``[m]``."""

    result: ClassResult
    scores: ScoreEvidence
    detections: DetectionEvidence

    @cached_property
    def places(self) -> Flags:
        """The surest of the confident detections of each place."""
        rows = np.flatnonzero(self.detections.on_background & (self.result.detections.score >= self.scores.floor))
        places = np.zeros(len(self.result.detections), np.bool_)
        places[rows[first_of_each_place(take(self.result.detections, rows))]] = True
        return places

    @cached_property
    def auc(self) -> Auc | None:
        """The chance that a true detection scores above one of these; None without either."""
        return self.result.auc(self.places, self.scores.floor)

    @cached_property
    def high(self) -> Flags:
        """Those that score above the median of the true ones, below which clutter mixes in."""
        return self.places & (self.result.detections.score >= self.scores.median)

    @cached_property
    def high_auc(self) -> Auc | None:
        """The chance that a true detection above that median scores above one of these; None without either."""
        return self.result.auc(self.places, self.scores.median)

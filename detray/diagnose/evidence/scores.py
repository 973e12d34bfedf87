"""How a class's detections score, beside those of the classes that work."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.chance import RARELY, chance_of_median
from detray.diagnose.evidence.reference import CONFIDENT_QUANTILE, Others
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.observation.counts import MIN_HITS
from detray.diagnose.observation.rows import IGNORED

DEPRESSED_POSITION = Criterion(
    0.15, f"place of the class's median true score among the other classes' true scores: {SUITE}"
)
FAR_BELOW_POSITION = Criterion(0.2, f"place at which a median that low is low for the class: {SUITE}")
FAR_BELOW = Criterion(0.5, f"share of the median true score of the classes that work: {SUITE}")


@dataclass(frozen=True)
class ScoreEvidence:
    """The scores of one class."""

    result: ClassResult
    reference: Others

    @cached_property
    def median(self) -> float:
        """Median score of the true detections; infinite without any."""
        return float(np.median(self.result.true_scores)) if self.result.n_true else np.inf

    @cached_property
    def high(self) -> float:
        """The score that a tenth of the true detections exceed; 0 without any."""
        return float(np.quantile(self.result.true_scores, 1 - CONFIDENT_QUANTILE)) if self.result.n_true else 0.0

    @cached_property
    def low(self) -> float:
        """The score that all but a tenth of the true detections exceed; 0 without any."""
        return float(np.quantile(self.result.true_scores, CONFIDENT_QUANTILE)) if self.result.n_true else 0.0

    @cached_property
    def floor(self) -> float:
        """From this score on a detection of the class is confident."""
        other = self.reference.true.quantile(CONFIDENT_QUANTILE)
        if self.result.n_true < MIN_HITS:
            return other or 0.0
        return self.low if other is None else min(self.low, other)

    @cached_property
    def confident(self) -> Flags:
        """Detections that score from the floor on, and are on no crowd region."""
        rows = self.result.detections
        return rows.kept & (rows.outcome != IGNORED) & (rows.score >= self.floor)

    def usual_false(self, score: float) -> float:
        """How many false detections from ``score`` on a class that works would have."""
        return self.reference.usual_false(score, self.result.n_true)

    @cached_property
    def are_depressed(self) -> bool | None:
        """Whether the true detections score far below those of the classes that work; None: unknown."""
        return self.are_low(RARELY)

    def are_low(self, chance: float) -> bool | None:
        """The same, where it happens by chance with this probability at most."""
        position = self.reference.true.place(self.median) if self.result.n_true else None
        if position is None:
            return None
        position = max(position, 1 / (self.reference.true.total + 1))
        # the classes differ among themselves
        usual = self.reference.true.quantile(0.5) or 0.0
        is_far_below = position < FAR_BELOW_POSITION and self.median < FAR_BELOW * usual
        if not is_far_below and position >= min(DEPRESSED_POSITION, self.reference.lowest_usual_position):
            return False
        return chance_of_median(position, self.result.n_true) <= chance

"""Whether detections below some score were left out, of all classes or of one."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.boxes import BoxEvidence
from detray.diagnose.evidence.histogram import score_depth
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.scores import ScoreEvidence
from detray.diagnose.evidence.split import Split
from detray.diagnose.observation.counts import FEW_BOXES

CUT_MISSED_SHARE = Criterion(0.2, f"share of the boxes that nothing touches: {SUITE}")
SAME_CUT = Criterion(0.02, f"lowest scores this near are one cut: {SUITE}")
CUT_CHANCE = Criterion(0.01, "the usual level of a test: chance that true scores all lie above the cut")
OWN_CUT = Criterion(0.1, f"lowest score of a class above that of the others: {SUITE}")
CUT_DEPTH = Criterion(0.8, f"depth of the scores below their median, for each of the usual depth: {SUITE}")
CUT_POSITION = Criterion(
    0.5, f"place of the lowest score among the true ones of other classes: no class is that easy and missed: {SUITE}"
)
CUT_TAIL = Criterion(0.5, f"length of the lower tail of the true scores, for each of the usual length: {SUITE}")
CUT_ALIKE = Criterion(1.5, f"times the share of boxes that the median class misses: {SUITE}")


@dataclass(frozen=True)
class CutEvidence:
    """The lowest scores of one class that has detections."""

    result: ClassResult
    scores: ScoreEvidence
    boxes: BoxEvidence
    split: Split

    @cached_property
    def lowest(self) -> float:
        """The lowest score of the kept detections."""
        return float(self.result.detections.score[self.result.detections.kept].min())

    @property
    def is_own(self) -> bool:
        """Whether the other classes have far lower scores, true or false."""
        other = self.scores.reference.lowest_score
        return other is not None and self.lowest > other + OWN_CUT

    @property
    def _is_skewed(self) -> bool:
        """Whether the lowest score is as near to the median as the high ones are: what was cut below is."""
        median = self.scores.median
        return score_depth(self.lowest, median) <= score_depth(median, self.scores.high)

    @property
    def is_cut(self) -> bool:
        """Whether true detections that this model would have below the lowest score are absent.

        From the classes that work: so many true detections of theirs do not all score above it by
        chance; or, where all classes are cut there, the class's own pile up at the cut.
        """
        if self.split.cut is not None and self.lowest <= self.split.cut + SAME_CUT:
            # what all lose to the cut they lose about alike
            share_lost = self.boxes.n_lost / self.result.n_boxes
            is_alike = share_lost <= CUT_ALIKE * self.split.missed + CUT_MISSED_SHARE
            return is_alike or (self._is_skewed and self.scores.are_depressed is True)
        reference, n_true = self.scores.reference, self.result.n_true
        below = reference.true.place(self.lowest)
        if below is None or reference.lowest_score is None:
            return self._is_skewed
        depth = reference.usual_depth(n_true)
        is_deep = depth is not None and score_depth(self.lowest, self.scores.median) > CUT_DEPTH * depth
        if is_deep and below < CUT_POSITION:
            return False  # a class that scores high as a whole is not cut
        # a class whose false ones score high has them elsewhere
        is_usual = int(self.result.false.sum()) <= self.scores.usual_false(self.lowest)
        n_false = reference.least_false(n_true, below=self.lowest) if is_usual else 0.0
        if (1 - below) ** n_true * np.exp(-n_false) < CUT_CHANCE:
            return True
        is_shared = abs(self.lowest - reference.lowest_score) <= SAME_CUT
        return self.scores.are_depressed is True and (is_shared or self._ends_early)

    @property
    def _ends_early(self) -> bool:
        """Whether the true scores end far nearer to their median, for how far they go above it, than those
        of the classes that work: scores that are low as a whole keep their shape."""
        usual = self.scores.reference.usual_tail(self.result.n_true)
        high, median = self.scores.high, self.scores.median
        if usual is None or self.result.n_true < FEW_BOXES or high <= median:
            return False
        return (median - self.lowest) / (high - median) < CUT_TAIL * usual

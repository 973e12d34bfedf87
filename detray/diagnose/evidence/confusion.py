"""Objects of the class that other classes' detections cover, and objects of other classes that its own cover."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Ints
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.chance import RARELY, chance_of_count
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.scores import ScoreEvidence
from detray.diagnose.evidence.split import Split
from detray.diagnose.observation.counts import MIN_HITS
from detray.diagnose.observation.rows import COVERED, ON_OTHER

CONFUSION_DOMINANCE = Criterion(0.6, f"share of confusions with one class, else they are scattered: {SUITE}")
DOMINANCE_RATIO = Criterion(3, f"or times as many as with the next class: {SUITE}")


@dataclass(frozen=True)
class ConfusionEvidence:
    """One class among the others."""

    category: int
    result: ClassResult
    scores: ScoreEvidence
    split: Split

    @cached_property
    def boxes(self) -> Flags:
        """Boxes covered by a detection of another class that scores as true ones of that class, or of
        this one unless it scores low as a whole, do."""
        boxes = self.result.boxes
        like_own = (boxes.cover_score >= self.scores.floor) & (self.scores.are_depressed is not True)
        like_other = self.split.confident(boxes.cover_category, boxes.cover_score)
        return (boxes.outcome == COVERED) & (like_own | like_other | (boxes.cover_category == self._beyond_chance))

    @cached_property
    def _beyond_chance(self) -> int | None:
        """The class whose detections, of whatever score, cover far more of the missed boxes than its
        share of all detections would by chance; None: there is none, or the class is never detected."""
        covers = self.result.boxes.cover_category[self.result.boxes.outcome == COVERED]
        other = dominant_class(covers)
        if other is None or not len(self.result.detections):
            return None
        most = int((covers == other).sum())
        detections = self.split.repaired.detections
        share = detections.get(other, 0) / max(sum(n for k, n in detections.items() if k != self.category), 1)
        return other if most >= MIN_HITS and chance_of_count(most, len(covers), share) <= RARELY else None

    @cached_property
    def detections(self) -> Flags:
        """Confident detections on boxes of other classes."""
        return self.scores.confident & (self.result.detections.outcome == ON_OTHER)


def dominant_class(classes: Ints) -> int | None:
    """The class that is most of ``classes``, or far more than any other; None: they are scattered."""
    values, counts = np.unique(classes, return_counts=True)
    if not len(values):
        return None
    second, most = np.sort(np.append(counts, 0))[-2:]
    is_dominant = most >= CONFUSION_DOMINANCE * len(classes) or most >= DOMINANCE_RATIO * second
    return int(values[counts.argmax()]) if is_dominant else None

"""How much of its own training pictures a model has learnt, by class and as a whole, and how far it was trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detray.boxes import RECALL_POINTS
from detray.diagnose.criterion import REASONED, Criterion
from detray.diagnose.evidence.histogram import NO_SCORES, Histogram, histograms
from detray.diagnose.observation.counts import FEW_BOXES, ClassCounts

FEW_EPOCHS = Criterion(2, "epochs after which no schedule has ended")
STILL_FALLING = Criterion(0.1, f"share of the training loss that the last epoch took off: {REASONED}")


@dataclass(frozen=True)
class Course:
    """The training loss, by epoch."""

    losses: Sequence[float]

    @property
    def fall(self) -> float:
        """The share of the loss that the last epoch took off; 0 where there is but one."""
        return 1 - self.losses[-1] / self.losses[-2] if len(self.losses) > 1 and self.losses[-2] > 0 else 0.0

    @property
    def is_early(self) -> bool:
        """Whether it ended before it was through."""
        return len(self.losses) <= FEW_EPOCHS or self.fall >= STILL_FALLING

    @property
    def words(self) -> str:
        """What the losses say."""
        n = len(self.losses)
        if n == 1:
            return "it was trained for 1 epoch"
        return f"it was trained for {n} epochs, and the last one still took {100 * self.fall:.0f}% off the loss"


def ap50s(counts: ClassCounts) -> dict[int, float]:
    """AP50 by class, of those with enough boxes to tell it, to within what scores in a bin differ by."""
    true, false = histograms(counts.true_scores), histograms(counts.false_scores)
    return {
        k: ap50(true.get(k, NO_SCORES), false.get(k, NO_SCORES), n) for k, n in counts.boxes.items() if n >= FEW_BOXES
    }


def ap50(true: Histogram, false: Histogram, n_boxes: int) -> float:
    """AP at IoU .5 from binned scores of true and false detections, at COCO's 101 points of recall."""
    bins = np.union1d(true.bins, false.bins)[::-1]
    numbers = np.zeros((2, len(bins)))
    for row, own in enumerate((true, false)):
        numbers[row, len(bins) - 1 - np.searchsorted(bins[::-1], own.bins)] = own.n
    hits, errors = numbers.cumsum(axis=1)
    precision = np.maximum.accumulate((hits / np.maximum(hits + errors, 1))[::-1])[::-1]
    place = np.searchsorted(hits / n_boxes, RECALL_POINTS - 1e-12)
    return float(np.append(precision, 0.0)[place].mean())

"""How the classes that work score: what is unusual for this model is told by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Floats
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.counts import FEW_BOXES, ClassCounts, bin_score, score_bin
from detray.diagnose.evidence.histogram import NO_SCORES, Histogram, added, histograms, log_odds, score_depth

CONFIDENT_QUANTILE = Criterion(0.1, "a detection is confident if it scores above this share of its class's true ones")
HIGH_RECALL = Criterion(0.5, "recall from which ranking, not finding, decides AP50")
SPREAD_CLASSES = Criterion(4, "classes from which the spread of something over the classes can be told")
SPREAD_DEVIATIONS = Criterion(1.5, f"standard deviations below the mean, more where few classes tell: {SUITE}")


@dataclass(frozen=True)
class ScoreHistograms:
    """The true and the false detections of one class by score."""

    true: Histogram
    false: Histogram


@dataclass(frozen=True)
class Reference:
    """How the classes that work score: what is unusual for this model is told by them."""

    lowest_score: float | None
    """The lowest score of any of their detections; None if no class works."""
    classes: Mapping[int, ScoreHistograms]
    missed: Mapping[int, float]
    """By class: the share of its boxes that it misses at IoU .5."""
    untight: Mapping[int, float]
    """By class: the share of its true detections that fail at IoU .75."""

    @classmethod
    def of(cls, counts: ClassCounts, working: frozenset[int]) -> "Reference":
        lowest = [counts.lowest_scores[k] for k in working if k in counts.lowest_scores]
        true, false = histograms(counts.true_scores), histograms(counts.false_scores)
        classes = {k: ScoreHistograms(true.get(k, NO_SCORES), false.get(k, NO_SCORES)) for k in sorted(working)}
        missed = {k: 1 - counts.hits.get(k, 0) / n for k in sorted(working) if (n := counts.boxes.get(k, 0))}
        untight = {
            k: 1 - counts.tight_hits.get(k, 0) / scores.true.total for k, scores in classes.items() if scores.true.total
        }
        return cls(bin_score(min(lowest)) if lowest else None, classes, missed, untight)

    @cached_property
    def _pooled(self) -> Histogram:
        return Histogram.of(added([scores.true for scores in self.classes.values()]))

    @cached_property
    def _median_places(self) -> dict[int, float]:
        """By class of enough true detections: the log odds of the place of their median among all."""
        places = {}
        for category, scores in self.classes.items():
            if scores.true.total >= FEW_BOXES:
                half = int(np.searchsorted(np.cumsum(scores.true.n), scores.true.total / 2))
                places[category] = log_odds(self._pooled.place(int(scores.true.bins[half])) or 0.0)
        return places

    def seen_by(self, category: int) -> "Others":
        """The other classes alone."""
        own = self.classes.get(category)
        pooled = self._pooled if own is None else self._pooled.without(own.true)
        places = [place for k, place in self._median_places.items() if k != category]
        return Others(
            self.lowest_score,
            pooled,
            np.array(places),
            [scores for k, scores in self.classes.items() if k != category],
            np.array([share for k, share in self.missed.items() if k != category]),
            np.array([share for k, share in self.untight.items() if k != category]),
        )


@dataclass(frozen=True)
class Others:
    """The classes that work, seen from one class that is not among them."""

    lowest_score: float | None
    true: Histogram
    """The true detections of all of them."""
    median_places: Floats
    """Of each that has enough true detections: the log odds of the place of its median among all."""
    classes: Sequence[ScoreHistograms]
    missed: Floats
    """The shares of the boxes that they miss."""
    untight: Floats
    """The shares of their true detections that fail at IoU .75."""

    def position(self, score: float) -> float | None:
        """The share of the true detections that score below; None without any."""
        return self.true.place(int(score_bin(np.array([score]))[0]))

    def quantile(self, share: float) -> float | None:
        """The score below which this share of the true detections lies; None without any."""
        return self.true.quantile(share)

    @cached_property
    def lowest_usual_position(self) -> float:
        """The place below which the median of a class lies unusually low, for how far the medians of the
        classes lie apart; 1 where too few classes tell."""
        if len(self.median_places) < SPREAD_CLASSES:
            return 1.0
        n = len(self.median_places)
        # of few classes the spread itself is uncertain: the factor is about Student's
        deviations = SPREAD_DEVIATIONS * (1 + 2 / (n - 1)) * float(self.median_places.std(ddof=1))
        return float(1 / (1 + np.exp(deviations - self.median_places.mean())))

    def usual_depth(self, n: int) -> float | None:
        """How far, in log odds, the lowest of ``n`` true scores of a class lies below their median; in the
        median of the classes, None where none has enough true detections."""
        depths = [
            score_depth(scores.true.quantile(1 / n) or 0.0, scores.true.quantile(0.5) or 0.0)
            for scores in self.classes
            if scores.true.total >= FEW_BOXES
        ]
        return float(np.median(depths)) if depths else None

    def usual_tail(self, n: int) -> float | None:
        """How far the lowest of ``n`` true scores of a class lies below their median, for each step from
        there to the highest tenth; in the median of the classes, None where none has enough true detections."""
        tails = []
        for scores in self.classes:
            low, middle, high = (scores.true.quantile(q) or 0.0 for q in (1 / n, 0.5, 1 - CONFIDENT_QUANTILE))
            if scores.true.total >= FEW_BOXES and high > middle:
                tails.append((middle - low) / (high - middle))
        return float(np.median(tails)) if tails else None

    def least_false(self, n_true: int, *, below: float) -> float:
        """How many false detections a class with ``n_true`` true ones has below a score: the median over
        the classes of their number, or of their number for each true one, if that is less."""
        if not self.classes:
            return 0.0
        n = np.array([scores.false.total - scores.false.above(below) for scores in self.classes])
        true = np.array([max(scores.true.total, 1) for scores in self.classes])
        return min(float(np.median(n)), n_true * float(np.median(n / true)))

    def usual_false(self, score: float, n_true: int) -> float:
        """How many false detections a class with ``n_true`` true ones usually has from ``score`` on: the
        median over the classes of their number, or of their number for each true one, if that is more."""
        if not self.classes:
            return 0.0
        n = np.array([scores.false.above(score) for scores in self.classes])
        true = np.array([max(scores.true.total, 1) for scores in self.classes])
        return max(float(np.median(n)), n_true * float(np.median(n / true)))

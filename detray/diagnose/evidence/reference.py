"""How the classes that work score: what is unusual for this model is told by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Floats
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.histogram import NO_SCORES, Histogram, histograms, log_odds, score_depth
from detray.diagnose.observation.counts import FEW_BOXES, ClassCounts, Counts, bin_score

CONFIDENT_QUANTILE = Criterion(0.1, "a detection is confident if it scores above this share of its class's true ones")
HIGH_RECALL = Criterion(0.5, "recall from which ranking, not finding, decides AP50")
SPREAD_CLASSES = Criterion(4, "classes from which the spread of something over the classes can be told")
SPREAD_DEVIATIONS = Criterion(1.5, f"standard deviations below the mean, more where few classes tell: {SUITE}")


@dataclass(frozen=True)
class WorkingClass:
    """How a class that works does."""

    true: Histogram
    """Its true detections by score."""
    false: Histogram
    missed: float | None
    """The share of its boxes that it misses at IoU .5; None without boxes."""
    untight: float | None
    """The share of its true detections that fail at IoU .75; None without any."""


@dataclass(frozen=True)
class Reference:
    """The classes that work, by id."""

    classes: Mapping[int, WorkingClass]
    lowest_score: float | None
    """The lowest score of any of their detections; None if no class works."""

    @classmethod
    def of(cls, counts: ClassCounts, working: frozenset[int]) -> "Reference":
        """From the counts of a split, and the classes in it that work."""
        true, false = histograms(counts.true_scores), histograms(counts.false_scores)

        def lacking(part: Counts, k: int, whole: int) -> float | None:
            return 1 - part.get(k, 0) / whole if whole else None

        classes = {}
        for k in sorted(working):
            own = true.get(k, NO_SCORES)
            missed, untight = lacking(counts.hits, k, counts.boxes.get(k, 0)), lacking(counts.tight_hits, k, own.total)
            classes[k] = WorkingClass(own, false.get(k, NO_SCORES), missed, untight)
        lowest = [counts.lowest_scores[k] for k in working if k in counts.lowest_scores]
        return cls(classes, bin_score(min(lowest)) if lowest else None)

    @cached_property
    def _pooled(self) -> Histogram:
        return Histogram.pooled([each.true for each in self.classes.values()])

    @cached_property
    def _median_places(self) -> dict[int, float]:
        """By class of enough true detections: the log odds of the place of their median among all."""
        return {
            k: log_odds(self._pooled.place_of_bin(each.true.middle_bin))
            for k, each in self.classes.items()
            if each.true.total >= FEW_BOXES
        }

    def seen_by(self, category: int) -> "Others":
        """The other classes alone."""
        own = self.classes.get(category)
        pooled = self._pooled if own is None else self._pooled.without(own.true)
        places = [place for k, place in self._median_places.items() if k != category]
        classes = [each for k, each in self.classes.items() if k != category]
        return Others(classes, self.lowest_score, pooled, np.array(places))


@dataclass(frozen=True)
class Others:
    """The classes that work, seen from one class that is not among them."""

    classes: Sequence[WorkingClass]
    lowest_score: float | None
    true: Histogram
    """The true detections of all of them."""
    median_places: Floats
    """Of each that has enough true detections: the log odds of the place of its median among all."""

    @property
    def usually_missed(self) -> float:
        """The share of their boxes that they miss, in the median; 0 if there is none."""
        return _median([each.missed for each in self.classes if each.missed is not None]) or 0.0

    @property
    def usually_untight(self) -> float:
        """The share of their true detections that fail at IoU .75, in the median; 0 if there is none."""
        return _median([each.untight for each in self.classes if each.untight is not None]) or 0.0

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
            score_depth(each.true.quantile(1 / n) or 0.0, each.true.quantile(0.5) or 0.0)
            for each in self.classes
            if each.true.total >= FEW_BOXES
        ]
        return _median(depths)

    def usual_tail(self, n: int) -> float | None:
        """How far the lowest of ``n`` true scores of a class lies below their median, for each step from
        there to the highest tenth; in the median of the classes, None where none has enough true detections."""
        tails = []
        for each in self.classes:
            low, middle, high = (each.true.quantile(q) or 0.0 for q in (1 / n, 0.5, 1 - CONFIDENT_QUANTILE))
            if each.true.total >= FEW_BOXES and high > middle:
                tails.append((middle - low) / (high - middle))
        return _median(tails)

    def least_false(self, n_true: int, *, below: float) -> float:
        """How many false detections a class with ``n_true`` true ones has below a score: the median over
        the classes of their number, or of their number for each true one, if that is less."""
        return min(self._usual_numbers(n_true, [each.false.total - each.false.above(below) for each in self.classes]))

    def usual_false(self, score: float, n_true: int) -> float:
        """How many false detections a class with ``n_true`` true ones usually has from ``score`` on: the
        median over the classes of their number, or of their number for each true one, if that is more."""
        return max(self._usual_numbers(n_true, [each.false.above(score) for each in self.classes]))

    def _usual_numbers(self, n_true: int, numbers: Sequence[int]) -> tuple[float, float]:
        each_true = [n / max(each.true.total, 1) for n, each in zip(numbers, self.classes, strict=True)]
        return _median(numbers) or 0.0, n_true * (_median(each_true) or 0.0)


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None

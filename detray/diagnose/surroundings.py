"""What all classes of a split share: how the others do and score, and what is wrong between the files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.diagnose import thresholds as t
from detray.diagnose.observe import Counts, Tally, bin_score, score_bin
from detray.diagnose.repairs import Faults
from detray.diagnose.training import Outside, drift


@dataclass(frozen=True)
class Histogram:
    """Scores by bin: ``bins`` rising, and how many scores are in each; both shapes ``[n]``."""

    bins: Ints
    n: Ints

    @classmethod
    def of(cls, counts: Counts) -> "Histogram":
        bins = np.array(sorted(counts), np.int64)
        return cls(bins, np.array([counts[number] for number in bins.tolist()], np.int64))

    def without(self, other: "Histogram") -> "Histogram":
        """Less the scores of ``other``, which are among them."""
        n = self.n.copy()
        n[np.searchsorted(self.bins, other.bins)] -= other.n
        return Histogram(self.bins[n > 0], n[n > 0])

    @cached_property
    def total(self) -> int:
        return int(self.n.sum())

    def place(self, number: int) -> float | None:
        """The share of the scores below a bin, and half of those in it; None without any."""
        if not self.total:
            return None
        low, high = np.searchsorted(self.bins, [number, number + 1])
        return float(self.n[:low].sum() + self.n[low:high].sum() / 2) / self.total

    def quantile(self, share: float) -> float | None:
        """The score below which this share lies; None without any."""
        if not self.total:
            return None
        place = int(np.searchsorted(np.cumsum(self.n), share * self.total, side="right"))
        return bin_score(int(self.bins[min(place, len(self.bins) - 1)]))

    def above(self, score: float) -> int:
        """How many score at least as high."""
        return int(self.n[np.searchsorted(self.bins, int(score_bin(np.array([score]))[0])) :].sum())


NO_SCORES = Histogram(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Scores:
    """The true and the false detections of one class by score."""

    true: Histogram
    false: Histogram


@dataclass(frozen=True)
class Reference:
    """How the classes that work score: what is unusual for this model is told by them."""

    lowest_score: float | None
    """The lowest score of any of their detections; None if no class works."""
    classes: Mapping[int, Scores]
    missed: Mapping[int, float]
    """By class: the share of its boxes that it misses at IoU .5."""
    untight: Mapping[int, float]
    """By class: the share of its true detections that fail at IoU .75."""

    @classmethod
    def of(cls, tally: Tally, working: frozenset[int]) -> "Reference":
        lowest = [tally.lowest_scores[k] for k in working if k in tally.lowest_scores]
        true, false = histograms(tally.true_scores), histograms(tally.false_scores)
        classes = {k: Scores(true.get(k, NO_SCORES), false.get(k, NO_SCORES)) for k in sorted(working)}
        missed = {k: 1 - tally.hits.get(k, 0) / n for k in sorted(working) if (n := tally.boxes.get(k, 0))}
        untight = {
            k: 1 - tally.tight_hits.get(k, 0) / scores.true.total for k, scores in classes.items() if scores.true.total
        }
        return cls(bin_score(min(lowest)) if lowest else None, classes, missed, untight)

    @cached_property
    def _pooled(self) -> Histogram:
        return Histogram.of(_added([scores.true for scores in self.classes.values()]))

    @cached_property
    def _median_places(self) -> dict[int, float]:
        """By class of enough true detections: the log odds of the place of their median among all."""
        places = {}
        for category, scores in self.classes.items():
            if scores.true.total >= t.FEW_BOXES:
                half = int(np.searchsorted(np.cumsum(scores.true.n), scores.true.total / 2))
                places[category] = _log_odds(self._pooled.place(int(scores.true.bins[half])) or 0.0)
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
    classes: Sequence[Scores]
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
        if len(self.median_places) < t.SPREAD_CLASSES:
            return 1.0
        n = len(self.median_places)
        # of few classes the spread itself is uncertain: the factor is about Student's
        deviations = t.SPREAD_DEVIATIONS * (1 + 2 / (n - 1)) * float(self.median_places.std(ddof=1))
        return float(1 / (1 + np.exp(deviations - self.median_places.mean())))

    def usual_depth(self, n: int) -> float | None:
        """How far, in log odds, the lowest of ``n`` true scores of a class lies below their median; in the
        median of the classes, None where none has enough true detections."""
        depths = [
            score_depth(scores.true.quantile(1 / n) or 0.0, scores.true.quantile(0.5) or 0.0)
            for scores in self.classes
            if scores.true.total >= t.FEW_BOXES
        ]
        return float(np.median(depths)) if depths else None

    def usual_tail(self, n: int) -> float | None:
        """How far the lowest of ``n`` true scores of a class lies below their median, for each step from
        there to the highest tenth; in the median of the classes, None where none has enough true detections."""
        tails = []
        for scores in self.classes:
            low, middle, high = (scores.true.quantile(q) or 0.0 for q in (1 / n, 0.5, 1 - t.CONFIDENT_QUANTILE))
            if scores.true.total >= t.FEW_BOXES and high > middle:
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


def score_depth(low: float, high: float) -> float:
    """How far one score lies below another, in log odds."""
    return _log_odds(high) - _log_odds(low)


def histograms(counts: Counts) -> dict[int, Histogram]:
    """Counts by (class, bin), by class."""
    own: dict[int, Counts] = {}
    for (owner, number), n in counts.items():
        own.setdefault(owner, {})[number] = n
    return {owner: Histogram.of(scores) for owner, scores in own.items()}


def _summed(*counts: Counts) -> Counts:
    """Counts by (class, bin), by bin."""
    total: Counts = {}
    for each in counts:
        for (_, number), n in each.items():
            total[number] = total.get(number, 0) + n
    return total


def _added(parts: Sequence[Histogram]) -> Counts:
    if not parts:
        return {}
    bins, place = np.unique(np.concatenate([part.bins for part in parts]), return_inverse=True)
    n = np.bincount(place, np.concatenate([part.n for part in parts]), minlength=len(bins)).astype(np.int64)
    return dict(zip(bins.tolist(), n.tolist(), strict=True))


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-3), 1 - 1e-3)  # scores written with few digits end at 0 and 1
    return float(np.log(share / (1 - share)))


@dataclass(frozen=True)
class Surroundings:
    """What all classes of a split share: names, counts, repairs, and how the others do."""

    names: Mapping[int, str]
    given: Tally
    """Counts as the files say."""
    repaired: Tally
    """Counts with the mapping faults repaired."""
    reference: Reference
    faults: Faults = field(default_factory=Faults)
    outside: Outside = field(default_factory=Outside)

    @cached_property
    def unrepaired(self) -> "Surroundings":
        """The same, with no fault repaired."""
        return replace(self, repaired=self.given)

    def label(self, category: int) -> str:
        """A class as sentences name it: `name` (id 3)."""
        return f"`{self.names.get(category, category)}` (id {category})"

    @cached_property
    def cut(self) -> float | None:
        """The score at which the detections of all classes are cut, if it is high; None: they are not.

        Scores that end by themselves thin out towards the lowest; where they were cut the lowest bit of
        their range holds as many as the next ones.
        """
        scores = Histogram.of(_summed(self.repaired.true_scores, self.repaired.false_scores))
        if scores.total < t.CUT_DETECTIONS:
            return None
        lowest, high = bin_score(int(scores.bins[0])), scores.quantile(0.99) or 0.0
        step = (high - lowest) * t.CUT_STEP
        at_cut, beyond = (scores.total - scores.above(lowest + k * step) for k in (1, 2))
        is_cut = at_cut >= max(t.CUT_PILE * scores.total, t.MIN_HITS, t.CUT_PILE_RATIO * (beyond - at_cut))
        return lowest if lowest >= t.HIGH_CUT and is_cut else None

    @cached_property
    def missed(self) -> float:
        """The share of their boxes that the classes miss, in the median; 0 without boxes."""
        tally = self.repaired
        shares = [1 - tally.hits.get(k, 0) / n for k, n in tally.boxes.items() if n]
        return float(np.median(shares)) if shares else 0.0

    def works(self, category: int) -> bool:
        """Whether the class finds its own boxes."""
        n = self.repaired.boxes.get(category, 0)
        return n > 0 and self.repaired.hits.get(category, 0) / n >= t.WORKING_RECALL

    @cached_property
    def _floors(self) -> dict[int, float]:
        floors = {
            k: scores.quantile(t.CONFIDENT_QUANTILE)
            for k, scores in histograms(self.repaired.true_scores).items()
            if scores.total >= t.MIN_HITS
        }
        return {k: score for k, score in floors.items() if score is not None}

    @cached_property
    def drifts(self) -> dict[int, dict[str, float]]:
        """By class: distances of sizes and aspects here from those in training, where enough boxes are known."""
        training = self.outside.training
        if training is None:
            return {}
        by_name: dict[str, int] = {name: k for k, name in sorted(training.names.items(), reverse=True)}
        here, there = self.outside.shapes, training.shapes
        found = {}
        for category, n in here.boxes.items():
            other = by_name.get(self.names.get(category, ""), int(category))
            if min(n, there.boxes.get(other, 0)) < t.SHIFT_BOXES:
                continue
            mine, theirs = here.independent(category), there.independent(other)
            sizes = drift(here.sizes, there.sizes, category, other, mine, theirs)
            aspects = drift(here.aspects, there.aspects, category, other, mine, theirs)
            if sizes is not None and aspects is not None:
                found[category] = {"sizes": sizes, "aspects": aspects}
        return found

    def recall_by_size(self, category: int) -> tuple[float, float] | None:
        """Recall of the small (area up to 32²) and of the larger boxes of the other classes; None where
        either has too few."""
        tally = self.repaired

        def recall(boxes: Counts, hits: Counts) -> float | None:
            n = sum(count for k, count in boxes.items() if k != category)
            return sum(count for k, count in hits.items() if k != category) / n if n >= t.FEW_BOXES else None

        small = recall(tally.small_boxes, tally.small_hits)
        large = recall(
            {k: n - tally.small_boxes.get(k, 0) for k, n in tally.boxes.items()},
            {k: n - tally.small_hits.get(k, 0) for k, n in tally.hits.items()},
        )
        return None if small is None or large is None else (small, large)

    def confident(self, category: Ints, score: Floats) -> Flags:
        """Whether each detection scores as the true ones of its class do."""
        floor = np.array([self._floors.get(int(k), 0.0) for k in category])
        return score >= floor

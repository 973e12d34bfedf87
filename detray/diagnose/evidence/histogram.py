"""Scores counted in bins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Ints
from detray.diagnose.evidence.counts import Counts, bin_score, score_bin


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


def histograms(counts: Counts) -> dict[int, Histogram]:
    """Counts by (class, bin), by class."""
    own: dict[int, Counts] = {}
    for (owner, number), n in counts.items():
        own.setdefault(owner, {})[number] = n
    return {owner: Histogram.of(scores) for owner, scores in own.items()}


def summed(*counts: Counts) -> Counts:
    """Counts by (class, bin), by bin."""
    total: Counts = {}
    for each in counts:
        for (_, number), n in each.items():
            total[number] = total.get(number, 0) + n
    return total


def added(parts: Sequence[Histogram]) -> Counts:
    """The counts of histograms together, by bin."""
    if not parts:
        return {}
    bins, place = np.unique(np.concatenate([part.bins for part in parts]), return_inverse=True)
    n = np.bincount(place, np.concatenate([part.n for part in parts]), minlength=len(bins)).astype(np.int64)
    return dict(zip(bins.tolist(), n.tolist(), strict=True))


def score_depth(low: float, high: float) -> float:
    """How far one score lies below another, in log odds."""
    return log_odds(high) - log_odds(low)


def log_odds(share: float) -> float:
    """The logarithm of the odds of a share, which is kept .001 away from 0 and 1."""
    share = min(max(share, 1e-3), 1 - 1e-3)  # scores written with few digits end at 0 and 1
    return float(np.log(share / (1 - share)))

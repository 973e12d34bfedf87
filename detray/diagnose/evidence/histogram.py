"""Scores counted in bins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose.observation.counts import Counts, bin_score, score_bin


@dataclass(frozen=True)
class Histogram:
    """Scores by bin: ``bins`` rising, and how many scores are in each; both shapes ``[n]``."""

    bins: Ints
    n: Ints

    @classmethod
    def of(cls, counts: Counts) -> "Histogram":
        """From counts by bin."""
        bins = np.array(sorted(counts), np.int64)
        return cls(bins, np.array([counts[number] for number in bins.tolist()], np.int64))

    @classmethod
    def pooled(cls, parts: Sequence["Histogram"]) -> "Histogram":
        """The scores of all ``parts`` together."""
        bins = np.concatenate([NO_SCORES.bins, *(part.bins for part in parts)])
        bins, place = np.unique(bins, return_inverse=True)
        n = np.concatenate([NO_SCORES.n, *(part.n for part in parts)])
        return cls(bins, np.bincount(place, n, minlength=len(bins)).astype(np.int64))

    def without(self, other: "Histogram") -> "Histogram":
        """Less the scores of ``other``, which are among them."""
        n = self.n.copy()
        n[np.searchsorted(self.bins, other.bins)] -= other.n
        return Histogram(self.bins[n > 0], n[n > 0])

    @cached_property
    def total(self) -> int:
        """How many scores there are."""
        return int(self.n.sum())

    def place(self, score: float) -> float | None:
        """The share of the scores below the bin of one, and half of those in it; None without any."""
        return self.place_of_bin(score_bin(np.array([score]))[0]) if self.total else None

    def place_of_bin(self, number: int) -> float:
        """The same, of a bin."""
        low, high = np.searchsorted(self.bins, [number, number + 1])
        return float(self.n[:low].sum() + self.n[low:high].sum() / 2) / self.total

    @property
    def middle_bin(self) -> int:
        """The bin in which half of the scores are reached."""
        return int(self.bins[np.searchsorted(np.cumsum(self.n), self.total / 2)])

    def quantile(self, share: float) -> float | None:
        """The score below which this share lies; None without any."""
        if not self.total:
            return None
        place = int(np.searchsorted(np.cumsum(self.n), share * self.total, side="right"))
        return bin_score(int(self.bins[min(place, len(self.bins) - 1)]))

    def above(self, score: float) -> int:
        """How many score at least as high."""
        return int(self.n[np.searchsorted(self.bins, score_bin(np.array([score]))[0]) :].sum())

    def share_up_to(self, score: Floats) -> Floats:
        """The share of the scores that are at most as high as each of ``score`` ``[k]``, ``[k]``; 0 without any."""
        shares = np.append(0, np.cumsum(self.n)) / max(self.total, 1)
        return shares[np.searchsorted(self.bins, score_bin(score), side="right")]


NO_SCORES = Histogram(np.empty(0, np.int64), np.empty(0, np.int64))


def histograms(counts: Counts) -> dict[int, Histogram]:
    """Counts by (class, bin), by class."""
    own: dict[int, Counts] = {}
    for (owner, number), n in counts.items():
        own.setdefault(owner, {})[number] = n
    return {owner: Histogram.of(scores) for owner, scores in own.items()}


def score_depth(low: float, high: float) -> float:
    """How far one score lies below another, in log odds."""
    return log_odds(high) - log_odds(low)


def log_odds(share: float) -> float:
    """The logarithm of the odds of a share, which is kept .001 away from 0 and 1."""
    share = min(max(share, 1e-3), 1 - 1e-3)  # scores written with few digits end at 0 and 1
    return float(np.log(share / (1 - share)))

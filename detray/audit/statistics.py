"""The tests that the statistical rules share, on counts."""

from collections.abc import Sequence
from math import asin, erfc, exp, sqrt

import numpy as np

from detray.arrays import Floats, Ints

Histogram = tuple[Ints, Ints]
"""Rising keys and their counts."""


def middle_and_spread(histogram: Histogram) -> tuple[float, float]:
    """The median of the keys and 1.4826 times their median absolute deviation from it.

    Source: Rousseeuw and Croux, JASA 88 (1993): the factor makes it the standard deviation of a normal.
    """
    keys, n = histogram
    middle = float(keys[weighted_median(n)])
    distance = np.abs(keys - middle)
    order = np.argsort(distance, kind="stable")
    return middle, 1.4826 * float(distance[order][weighted_median(n[order])])


def weighted_median(n: Ints) -> int:
    """The place in a row of counts where half of the sum is reached."""
    return int(np.searchsorted(np.cumsum(n), n.sum() / 2))


def share_at_most(histogram: Histogram, key: float) -> float:
    """The share of the counts with a key of at most ``key``."""
    keys, n = histogram
    return float(n[keys <= key].sum() / n.sum())


def quantile_key(histogram: Histogram, share: float) -> int:
    """The key at a quantile."""
    keys, n = histogram
    return int(keys[min(int(np.searchsorted(np.cumsum(n), share * n.sum())), len(keys) - 1)])


def distance(a: Histogram, b: Histogram) -> float:
    """The Kolmogorov-Smirnov distance of two histograms: the largest gap of their cumulative shares, 0 to 1."""
    keys = np.union1d(a[0], b[0])
    shares = []
    for own, n in (a, b):
        whole = np.zeros(len(keys))
        whole[np.searchsorted(keys, own)] = n
        shares.append(np.cumsum(whole) / n.sum())
    return float(np.abs(shares[0] - shares[1]).max())


def chance_of_distance(gap: float, n: int, m: int) -> float:
    """How likely a Kolmogorov-Smirnov distance of at least ``gap`` is by chance between n and m independent things.

    Source: Kolmogorov's limit with Stephens' correction (J. Royal Stat. Soc. B 32, 1970), first term.
    """
    size = sqrt(n * m / (n + m))
    return min(1.0, 2 * exp(-2 * ((size + 0.12 + 0.11 / size) * gap) ** 2))


def effect_of_shares(p: float, q: float) -> float:
    """Cohen's h between two shares: 0.2 is small, 0.5 medium, 0.8 large (Cohen 1988, chapter 6)."""
    return abs(2 * asin(sqrt(p)) - 2 * asin(sqrt(q)))


def chance_of_excess(k: int, n: int, p: float) -> float:
    """The chance of k or more successes in n trials of chance p: the tail of the binomial distribution."""
    from scipy.special import bdtrc  # the tail that scipy.stats.binom has, without the second its import takes

    return float(bdtrc(k - 1, n, p))


def chance_of_preference(better: int, worse: int) -> float:
    """The chance that fair coins prefer one side at least so often: the sign test, one-sided."""
    return chance_of_excess(better, better + worse, 0.5) if better else 1.0


def chance_of_count(seen: int, expected: float) -> float:
    """The chance of a count at least so far on its side of what is expected: the tail of the Poisson distribution."""
    from scipy.special import pdtr, pdtrc

    return float(pdtrc(seen - 1, expected) if seen > expected else pdtr(seen, expected))


def chance_of_score(score: float) -> float:
    """The chance that a standard normal is at least so far from 0, on either side."""
    return erfc(score / sqrt(2))


_MOST_RANKS = 200
"""Differences up to which the distribution of their ranks is counted out."""


def chance_of_ranks(differences: Floats) -> float:
    """The chance that differences of no preferred sign, none 0, lie so far above 0: Wilcoxon's signed-rank test.

    Exact up to `_MOST_RANKS`, equal ones sharing their ranks, else by the normal approximation.
    Source: Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945).
    """
    if not len(differences):
        return 1.0
    _, place, times = np.unique(np.abs(differences), return_inverse=True, return_counts=True)
    ranks = (2 * np.cumsum(times) - times + 1)[place]  # doubled, so that shared ones are whole
    found = int(ranks[differences > 0].sum())
    if len(ranks) > _MOST_RANKS:
        return erfc((found - ranks.sum() / 2) / sqrt((ranks.astype(np.float64) ** 2).sum() / 2)) / 2
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks.tolist():
        chances[rank:] += chances[:-rank].copy()
        chances /= 2
    return min(1.0, float(chances[found:].sum()))


def pooled(histograms: Sequence[Histogram]) -> Histogram:
    """The sum of histograms."""
    keys = np.concatenate([keys for keys, _ in histograms]) if histograms else np.zeros(0, np.int64)
    n = np.concatenate([n for _, n in histograms]) if histograms else np.zeros(0, np.int64)
    unique, back = np.unique(keys, return_inverse=True)
    return unique, np.bincount(back, n, minlength=len(unique)).astype(np.int64)

"""The chance that something is no error of the detector but of the labels, from how sure the detector is.

Where labels are wrong the detector is as sure as where they are right; where it errs itself it becomes
rarer the surer it is. So of the contradictions at sureness z, for each thing that is right, there are
``m + exp(a - b z)``: wrong labels, a constant share m of the right ones (mixture proportion estimation:
Blanchard, Lee and Scott, JMLR 2010), and errors, which fall off exponentially where z is normal with one
variance for both (Anderson, Biometrika 1972). m is what stays at the top: a detector whose surest
contradictions are few accuses nobody.
"""

import numpy as np

from detray.arrays import Floats

_SHARES = np.array([0.0, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2])
"""Wrong labels for each right one."""
_ALL_RIGHT = 0.5
"""Chance, before anything is seen, that no label is wrong in this way."""
_LEVELS = np.linspace(-8.0, 5.0, 27)
_SLOPES = np.array([0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
_BINS = 64
_LEAST_SPREAD = 0.3


def chance_of_wrong_labels(right: Floats, contradicting: Floats) -> Floats:
    """The chance of each contradiction to come of a wrong label.

    Args:
        right: sureness, on any scale that rises with it, of what agrees with the labels, ``[n]``, n > 0.
        contradicting: sureness of what contradicts them, on the same scale, ``[k]``.

    Returns:
        ``[k]`` in [0, 1]: averaged over the shares, levels a and slopes b of a grid by how well they
        explain both (Bayes; all levels and slopes, and all shares but none, are alike before).
    """
    middle, spread = np.median(right), max(float(right.std()), _LEAST_SPREAD)
    own, other = (right - middle) / spread, (contradicting - middle) / spread
    low, high = min(own.min(), other.min(initial=np.inf)), max(own.max(), other.max(initial=-np.inf))
    edges = np.linspace(low, high + 1e-9, _BINS + 1)
    n_own, n_other = np.histogram(own, edges)[0], np.histogram(other, edges)[0]

    share, level, slope = (grid.ravel()[:, None] for grid in np.meshgrid(_SHARES, _LEVELS, _SLOPES, indexing="ij"))
    errors = np.exp(np.clip(level - slope * (edges[:-1] + edges[1:]) / 2, -50.0, 50.0))
    odds = share + errors
    before = np.where(share[:, 0] == 0, _ALL_RIGHT, (1 - _ALL_RIGHT) / (len(_SHARES) - 1))
    fit = np.log(odds) @ n_other - np.log1p(odds) @ (n_own + n_other) + np.log(before)
    weight = np.exp(fit - fit.max())
    chance = np.minimum((weight / weight.sum()) @ (share / odds), 1.0)  # rounding
    of_each: Floats = chance[np.clip(np.searchsorted(edges, other, side="right") - 1, 0, _BINS - 1)]
    return of_each


def logit(share: Floats, least: float = 1e-6) -> Floats:
    """The logarithm of the odds, of shares taken to be at least ``least`` away from 0 and 1."""
    inside = np.clip(share, least, 1 - least)
    odds: Floats = np.log(inside / (1 - inside))
    return odds

"""Whether a gain is real: candidate and baseline trained on the same fresh seeds, compared in pairs.

A change of seed alone moves the AP of a rare class by more than most settings do, and an interval
over images alone calls that significant. So the interval here covers both:

    variance = s² / S  +  (G - 1) / G · sum over g of (d_g - mean d)²

The first term is that of the mean of S seeds' paired differences. The second is the delete-a-group
jackknife of the mean difference over G groups of images (Shao and Tu, The Jackknife and Bootstrap,
1995, section 2.3), the same groups for both models. Adding them counts the interaction of seed and
image twice, as Owen's pigeonhole bootstrap does (Annals of Applied Statistics 2007), which makes
it too wide where that interaction dominates. The quantile is Student's t with the degrees of
freedom of Satterthwaite (Biometrics Bulletin 1946); for four seeds whose spread dominates it is
3.2, not 2.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from detray.arrays import Flags, Floats

Verdict = Literal["better", "worse", "unclear"]

GROUPS = 20
"""Groups of images of the jackknife: 19 degrees of freedom, at the cost of 20 evaluations."""

ERROR_RATE = 0.05
"""Of the two-sided interval; shared among several candidates (Bonferroni)."""


@dataclass(frozen=True)
class Runs:
    """What one configuration came to on the seeds.

    ``ap`` and ``ap50``: ``[s, c]`` by seed and class, NaN without ground truth; ``left_out``:
    ``[s, g, c]`` AP without the images of group g.
    """

    ap: Floats
    ap50: Floats
    left_out: Floats


@dataclass(frozen=True)
class Interval:
    """Paired differences ``[c]``, the ends of their interval, their standard error and its degrees of freedom; NaN
    where these cannot be computed."""

    delta: Floats
    low: Floats
    high: Floats
    error: Floats
    freedom: Floats

    def chance_below(self, value: float) -> Floats:
        """The probability ``[c]`` that the true difference is below ``value``, as Student's t has it."""
        from scipy.stats import t as student

        with np.errstate(divide="ignore", invalid="ignore"):
            chance: Floats = student.cdf((value - self.delta) / self.error, self.freedom)
        return np.where(self.error == 0, (self.delta < value).astype(np.float64), chance)

    def verdicts(self) -> list[Verdict]:
        """better or worse where the interval leaves 0 out."""
        return [
            "better" if low > 0 else "worse" if high < 0 else "unclear"
            for low, high in zip(self.low, self.high, strict=True)
        ]


def paired_interval(baseline: Runs, candidate: Runs, candidates: int = 1) -> Interval:
    """The interval of ``candidate - baseline`` in each class; NaN ends with fewer than two seeds.

    ``candidates`` is how many are compared with the baseline, so that the chance of any false gain
    stays at `ERROR_RATE`.
    """
    from scipy.stats import t as student

    difference = candidate.ap - baseline.ap
    seeds, classes = difference.shape
    delta = difference.mean(axis=0)
    if seeds < 2:
        nothing = np.full(classes, np.nan)
        return Interval(delta, nothing, nothing, nothing, nothing)
    over_seeds = difference.var(axis=0, ddof=1) / seeds
    left_out = (candidate.left_out - baseline.left_out).mean(axis=0)
    groups = len(left_out)
    over_images = (groups - 1) * left_out.var(axis=0)
    variance = over_seeds + over_images
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = variance**2 / (over_seeds**2 / (seeds - 1) + over_images**2 / max(groups - 1, 1))
    freedom = np.where(variance == 0, seeds - 1, freedom)
    error = np.sqrt(variance)
    half = student.ppf(1 - ERROR_RATE / candidates / 2, freedom) * error
    return Interval(delta, delta - half, delta + half, error, freedom)


def mean_over(runs: Runs, classes: Flags) -> Runs:
    """``runs`` with one column: the mean over the marked classes that have an AP."""
    wanted = classes & ~np.isnan(runs.ap).any(axis=0)
    return Runs(
        runs.ap[:, wanted].mean(axis=1, keepdims=True),
        runs.ap50[:, wanted].mean(axis=1, keepdims=True),
        runs.left_out[:, :, wanted].mean(axis=2, keepdims=True),
    )


@dataclass(frozen=True)
class Proof:
    """A candidate against the baseline.

    ``focus`` holds the mean over the focus classes, ``classes`` ``[c]`` each class; ``fell`` ``[c]`` is the
    probability that a class fell by more than the guard's max_drop, NaN where it is not known, and ``kept`` ``[c]``
    says that it is below the error rate of one side.
    """

    focus: Interval
    classes: Interval
    fell: Floats
    kept: Flags
    is_win: bool


def prove(baseline: Runs, candidate: Runs, is_focus: Flags, max_drop: float, candidates: int = 1) -> Proof:
    """Compare; a win is a sure gain of the focus classes' mean AP while every other class is kept.

    Classes without AP do not count. ``candidates`` as in `paired_interval`.
    """
    classes = paired_interval(baseline, candidate, candidates)
    focus = paired_interval(mean_over(baseline, is_focus), mean_over(candidate, is_focus), candidates)
    fell = classes.chance_below(-max_drop)
    kept = fell < ERROR_RATE / candidates / 2
    others = ~is_focus & ~np.isnan(classes.delta)
    return Proof(focus, classes, fell, kept, bool(focus.low[0] > 0 and kept[others].all()))

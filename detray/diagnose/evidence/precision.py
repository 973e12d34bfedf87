"""How often detections of a score are true: what a score is worth, whatever scale the detector has."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose.evidence.histogram import Histogram
from detray.diagnose.observation.counts import score_bin


@dataclass(frozen=True)
class Precision:
    """The precision at a score, rising with it: ``share`` of the detections in each of ``bins``, both ``[n]``.

    Source: isotonic regression as in Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass
    probability estimates" (KDD 2002).
    """

    bins: Ints
    share: Floats

    @classmethod
    def of(cls, true: Histogram, false: Histogram) -> "Precision":
        """From true and false detections by score."""
        from scipy.optimize import isotonic_regression

        every = Histogram.pooled([true, false])
        n_true = np.zeros(len(every.bins))
        n_true[np.searchsorted(every.bins, true.bins)] = true.n
        share = isotonic_regression(n_true / every.n, weights=every.n).x if len(every.bins) else n_true
        return cls(every.bins, share)

    def at(self, score: Floats) -> Floats:
        """Of each of ``score`` ``[k]``, ``[k]``; 0 below all scores."""
        place = np.searchsorted(self.bins, score_bin(score), side="right")
        found: Floats = np.append(0.0, self.share)[place]
        return found

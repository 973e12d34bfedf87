"""What a model's word is worth for a class: how far its detections tell labels that are wrong from its own errors.

Of a model at AP50 .25 most contradictions are its own errors, however sure they are beside its true detections.
What lowers AP50 may be the labels themselves. That has a mark: where labels were left out it finds all the boxes that
are there, and is no less precise for the last than for the first, as a weak model seldom is. Where labels for three of
four are lacking, a model that takes all kinds of things for the class explains as much.
"""

import numpy as np

from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.histogram import NO_SCORES, Histogram, histograms
from detray.diagnose.observation.counts import ClassCounts

TRUSTED_AP50 = Criterion(
    0.6, "AP50 from which a model is believed: at .25 no contradiction is likelier an error of the labels than its own"
)
_FIRST_RECALL = 0.25
"""Recall at which the precision of the surest is taken: that of the very first few is chance."""
_STEEPNESS = 4
_TOLD_PRECISION = 0.35
"""What precision may sink to by labels that were left out: two of three."""


def worth_by_class(counts: ClassCounts) -> dict[int, float]:
    """In [0, 1], of every class that has boxes, from the counts of the whole split."""
    true, false = histograms(counts.true_scores), histograms(counts.false_scores)
    return {
        category: worth(true.get(category, NO_SCORES), false.get(category, NO_SCORES), n)
        for category, n in counts.boxes.items()
        if n
    }


def worth(true: Histogram, false: Histogram, n_boxes: int) -> float:
    """Of a class from its true and false detections by score, and the number of its boxes."""
    bins = np.union1d(true.bins, false.bins)[::-1]
    n_true, n_false = np.zeros(len(bins)), np.zeros(len(bins))
    for part, n in ((true, n_true), (false, n_false)):
        n[len(bins) - 1 - np.searchsorted(bins[::-1], part.bins)] = part.n
    found, all_of_them = np.cumsum(n_true), np.cumsum(n_true + n_false)
    recall = found / n_boxes
    best_from = np.append(np.maximum.accumulate((found / all_of_them)[::-1])[::-1], 0.0)
    precision = best_from[np.searchsorted(recall, np.linspace(0, 1, 101), side="left")]
    ap50, first = float(precision.mean()), float(best_from[np.searchsorted(recall, _FIRST_RECALL, side="left")])
    evenness = min(ap50 / first, 1.0) if first else 0.0
    even = evenness**_STEEPNESS * min(first / _TOLD_PRECISION, 1.0) ** 2
    return float(min(max(ap50 / TRUSTED_AP50, even), 1.0))

"""Where to set the score threshold, and how far scores can be believed: both at IoU .5."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats
from detray.evaluate.kernel.accumulate import TruePositives
from detray.evaluate.tables.classes import ClassRows

BINS = 10


@dataclass(frozen=True)
class OperatingPoint:
    """The score threshold with the highest F1 of each class, ``[k]`` each; NaN where nothing is found."""

    f1: Floats
    threshold: Floats
    precision: Floats
    recall: Floats


def best_f1(rows: ClassRows, hits: TruePositives, area: int) -> OperatingPoint:
    """The operating points of an area range; of equal F1 the highest threshold.

    Detections with equal scores pass a threshold together. F1 is 0 where boxes have no true
    positive, NaN where there are no boxes.
    """
    k = len(rows.ids)
    n_gt = rows.n_gt[:, area]
    first = hits.start[rows.protocol.at50 * k]
    at50 = slice(first, hits.start[(rows.protocol.at50 + 1) * k])
    category, row = hits.segment[at50] - rows.protocol.at50 * k, hits.row[at50]
    end = rows.tie_end[row]
    tally = np.zeros(len(rows.score) + 1, np.int32)
    np.cumsum(rows.counted[area] & rows.protocol.bit50 != 0, out=tally[1:])
    n = tally[end + 1] - tally[rows.start[category]]
    tp = np.searchsorted(row, end, side="right") - (hits.start[rows.protocol.at50 * k + category] - first)
    f1 = 2 * tp / (n + n_gt[category])

    best = np.zeros(k)
    np.maximum.at(best, category, f1)
    top = np.flatnonzero(f1 == best[category])[::-1]
    chosen = np.full(k, -1)
    chosen[category[top]] = top  # the last one written, the highest score, stays
    found = chosen >= 0

    def at_best(values: Floats) -> Floats:
        result = np.full(k, np.nan)
        result[found] = values[chosen[found]]
        return result

    return OperatingPoint(
        np.where(n_gt > 0, best, np.nan),
        at_best(rows.score[row]),
        at_best(tp / n),
        at_best(tp / np.maximum(n_gt[category], 1)),
    )


def calibration_error(rows: ClassRows) -> Floats:
    """Detection expected calibration error, ``[k]``; NaN without detections.

    The mean over detections of the gap between mean score and precision in ten bins of the score
    (Naeini et al., AAAI 2015; for detections: Küppers et al., CVPR Workshops 2020). Scores out of 0
    to 1 count as its ends.
    """
    bit = rows.protocol.bit50
    counted = rows.counted[0] & bit != 0
    hit = counted & (rows.matched[0] & bit != 0)
    score = np.clip(rows.score, 0, 1)
    place = np.minimum((score * BINS).astype(np.int64), BINS - 1)
    cell = (rows.category * BINS + place)[counted]
    size = len(rows.ids) * BINS

    def per_cell(values: Floats) -> Floats:
        return np.bincount(cell, values[counted], size).astype(np.float64).reshape(-1, BINS)

    gap = np.abs(per_cell(score) - per_cell(hit.astype(np.float64))).sum(axis=1)
    total = rows.per_class(rows.category[counted])
    return np.divide(gap, total, out=np.full(len(rows.ids), np.nan), where=total > 0)

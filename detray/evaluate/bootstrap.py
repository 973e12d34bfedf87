"""Intervals by resampling images.

Each resample counts each image as often as a Poisson variable of mean 1 says (the Poisson
bootstrap: Hanley and MacGibbon, Computer Methods and Programs in Biomedicine 2006), which needs no
knowledge of the other images. The variable is a hash of seed, image and resample: it is the same in
every class, shard and model, so that differences of two models are paired.
"""

import math

import numpy as np
from numpy.typing import NDArray

from detray.boxes import RECALL_POINTS
from detray.evaluate.accumulate import EVERY_LEVEL, LEVELS
from detray.evaluate.classes import ClassRows
from detray.evaluate.kernel import Floats, Ints, Words
from detray.evaluate.order import stable_argsort
from detray.schema import AREA_RANGES

SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
"""COCO's twelve numbers, in its order."""
CAPS = (1, 10)
"""Detections an image of the first two recalls; the third takes all that are kept."""
LEVEL_50, LEVEL_75 = 0, 5
INTERVAL = (2.5, 97.5)
"""Percentiles of the ends of an interval."""
STEP = 50
"""Resamples drawn at once."""

# Poisson(1) by inversion: how many of these a uniform 64-bit integer reaches
_CDF = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(16)])
_STEPS = np.array([int(p * 2**64) for p in _CDF if int(p * 2**64) < 2**64], np.uint64)


def weights(images: Ints, resamples: Ints, seed: int) -> NDArray[np.uint8]:
    """How often each image counts in each resample, uint8 ``[images, resamples]``."""
    state = _mix(images.astype(np.uint64) + _mix(np.array([seed], np.uint64)))
    drawn = _mix(state[:, None] + resamples.astype(np.uint64)[None, :] * np.uint64(0x9E3779B97F4A7C15))
    return np.searchsorted(_STEPS, drawn, side="right").astype(np.uint8)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def replicates(rows: ClassRows, n: int, seed: int) -> Floats:
    """Each class's share in COCO's twelve numbers in each resample, ``[k, 12, n]``; NaN without boxes."""
    result = np.full((len(rows.ids), len(SUMMARY), n), np.nan)
    if not n:
        return result
    images = np.unique(np.concatenate([rows.image, rows.box_image]))
    place, box_place = np.searchsorted(images, rows.image), np.searchsorted(images, rows.box_image)
    box_order = stable_argsort(rows.box_category)
    box_start = np.searchsorted(rows.box_category[box_order], np.arange(len(rows.ids) + 1))
    for low in range(0, n, STEP):
        chosen = slice(low, min(low + STEP, n))
        weight = weights(images, np.arange(chosen.start, chosen.stop), seed)
        for area in range(len(AREA_RANGES)):
            counted = rows.counted[area]
            for k in np.flatnonzero(rows.n_gt[:, area]):
                boxes = box_order[box_start[k] : box_start[k + 1]]
                boxes = boxes[rows.box_counts[area][boxes]]
                mine = rows.start[k] + np.flatnonzero(counted[rows.start[k] : rows.start[k + 1]])
                ap, recall = weighted(
                    weight[place[mine]],
                    rows.matched[area][mine] & counted[mine],
                    counted[mine],
                    weight[box_place[boxes]].sum(axis=0, dtype=np.int64),
                    rows.class_rank[mine],
                )
                if area == 0:
                    result[k, :3, chosen] = ap.mean(axis=0), ap[LEVEL_50], ap[LEVEL_75]
                    result[k, 6:9, chosen] = recall
                else:
                    result[k, 2 + area, chosen] = ap.mean(axis=0)
                    result[k, 8 + area, chosen] = recall[-1]
    return result


def weighted(
    weight: NDArray[np.integer], hit: Words, counted: Words, n_gt: Ints, class_rank: Ints
) -> tuple[Floats, Floats]:
    """AP at each level ``[10, b]`` and mean recall at each of `CAPS` and over all ``[3, b]``, of one class.

    Args:
        weight: ``[m, b]`` how often each detection counts in each resample; in the ranking's order.
        hit: ``[m]`` levels of true positives.
        counted: ``[m]`` levels at which a detection counts at all.
        n_gt: ``[b]`` boxes of each resample; where 0 the result is NaN.
        class_rank: ``[m]`` place of each detection in its image.
    """
    always = (counted == EVERY_LEVEL) & (hit == 0)
    active = np.flatnonzero(~always)
    before = np.zeros((int(always.sum()) + 1, weight.shape[1]), np.int64)
    np.cumsum(weight[always], axis=0, out=before[1:])
    base = before[np.cumsum(always)[active]]
    weight, hit, counted, class_rank = weight[active], hit[active], counted[active], class_rank[active]
    boxes = np.maximum(n_gt, 1)
    ap = np.zeros((LEVELS, len(n_gt)))
    recall = np.zeros((len(CAPS) + 1, len(n_gt)))
    for level in range(LEVELS):
        true = np.flatnonzero(hit >> level & 1)
        if not len(true):
            continue
        counts = (counted >> level & 1)[:, None]
        place = (base + np.cumsum(weight * counts, axis=0, dtype=np.int64))[true]
        tp = np.cumsum(weight[true], axis=0, dtype=np.int64)
        precision = tp / (place + np.spacing(1))
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        points = _points_reached(tp / boxes)
        points[tp == 0] = 0
        ap[level] = (envelope * np.diff(points, axis=0, prepend=0)).sum(axis=0) / len(RECALL_POINTS)
        for row, cap in enumerate(CAPS):
            recall[row] += weight[true[class_rank[true] <= cap]].sum(axis=0, dtype=np.int64) / boxes / LEVELS
        recall[-1] += tp[-1] / boxes / LEVELS
    none = n_gt == 0
    ap[:, none] = np.nan
    recall[:, none] = np.nan
    return ap, recall


def _points_reached(recall: Floats) -> Ints:
    """How many of COCO's recall points each recall reaches: ``searchsorted(..., side="right")``, by arithmetic."""
    last = len(RECALL_POINTS) - 1
    below = np.minimum((recall * last).astype(np.int64), last)
    # the product is rounded: the comparison with the grid itself decides
    below += RECALL_POINTS[np.minimum(below + 1, last)] <= recall
    np.minimum(below, last, out=below)
    below -= RECALL_POINTS[below] > recall
    return below + 1


def interval(values: Floats) -> tuple[Floats, Floats]:
    """The 95% percentile interval over the last axis; NaN where no resample has a value."""
    some = np.isfinite(values).any(axis=-1)
    low, high = np.full(some.shape, np.nan), np.full(some.shape, np.nan)
    if some.any():
        low[some], high[some] = np.nanpercentile(values[some], INTERVAL, axis=-1)
    return low, high


def mean_of_known(values: Floats) -> Floats:
    """The mean over the last axis of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=-1)
    n = known.sum(axis=-1)
    return np.divide(total, n, out=np.full(len(values), np.nan), where=n > 0)

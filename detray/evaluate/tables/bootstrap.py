"""Intervals by resampling images.

Each resample counts each image as often as a Poisson variable of mean 1 says (the Poisson
bootstrap: Hanley and MacGibbon, Computer Methods and Programs in Biomedicine 2006), which needs no
knowledge of the other images. The variable is a hash of seed, image and resample: it is the same in
every class, shard and model, so that differences of two models are paired.
"""

import math
from collections.abc import Sequence

import numpy as np

from detray.arrays import Bytes, Floats, Hashes, Ints
from detray.evaluate.kernel.accumulate import TruePositives
from detray.evaluate.kernel.order import places
from detray.evaluate.kernel.weighted import RecallPoints, WeightedCount, WeightedRanking
from detray.evaluate.tables.classes import ClassRows

CONFIDENCE = 0.95
"""How sure an interval is."""
ROUNDING = 1e-12
MIN_IMAGES = 5
"""Images with boxes that an interval takes."""
MAX_EMPTY = 0.03
"""Share of resamples without boxes that an interval allows: of 3 images a twentieth has none, of 5 one in 150."""
STEP = 50
"""Resamples drawn at once."""

# Poisson(1) by inversion: how many of these a uniform 64-bit integer reaches
_CDF = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(16)])
_STEPS = np.array([int(p * 2**64) for p in _CDF if int(p * 2**64) < 2**64], np.uint64)


def weights(images: Ints, resamples: Ints, seed: int) -> Bytes:
    """How often each image counts in each resample, uint8 ``[images, resamples]``."""
    state = _mix(images.astype(np.uint64) + _mix(np.array([seed], np.uint64)))
    drawn = _mix(state[:, None] + resamples.astype(np.uint64)[None, :] * np.uint64(0x9E3779B97F4A7C15))
    return np.searchsorted(_STEPS, drawn, side="right").astype(np.uint8)


def _mix(x: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def replicates(rows: ClassRows, hits: Sequence[TruePositives], n: int, seed: int) -> Floats:
    """Each class's share in the protocol's numbers in each resample, ``[k, s, n]``; NaN without boxes.

    ``hits`` are the true positives of ``rows`` by area range.
    """
    k, protocol = len(rows.ids), rows.protocol
    numbers, averaged = protocol.numbers, protocol.averaged
    # whole steps: sums are then the same to the last bit whatever the number of resamples
    result = np.full((k, len(numbers), -(-n // STEP) * STEP), np.nan)
    if not n:
        return result
    images = np.unique(np.concatenate([np.unique(rows.image), rows.box_image]))
    place, box_place = places(images, rows.image), places(images, rows.box_image)
    once, levels = (
        np.ones(len(box_place), np.uint8),
        np.bitwise_count(rows.matched[0] & rows.counted[0] & protocol.averaged_bits),
    )
    boxes = [WeightedCount.of(rows.box_category[c], box_place[c], once[c], k) for c in rows.box_counts]
    first = [np.flatnonzero((levels > 0) & (rows.class_rank <= cap)) for cap in protocol.recalls]
    capped = [WeightedCount.of(rows.category[c], place[c], levels[c], k) for c in first]
    rankings = [
        WeightedRanking.of(part, place, rows.start, counted) for part, counted in zip(hits, rows.counted, strict=True)
    ]
    for low in range(0, n, STEP):
        drawn = np.arange(low, low + STEP)
        weight = np.zeros((len(images) + 1, len(drawn)), np.uint8)  # the last row is that of no image
        weight[:-1] = weights(images, drawn, seed)
        n_gt = np.stack([part.total(weight) for part in boxes])
        points = RecallPoints.of(n_gt) if protocol.interpolated else None
        share = 1 / np.where(n_gt > 0, n_gt, np.nan)
        for area, ranking in enumerate(rankings):
            ap, found = ranking.average_precision(weight, points[area] if points else None, n_gt[area])
            ap[:, n_gt[area] == 0] = np.nan
            for column, number in enumerate(numbers):
                if number.area != area or number.kind == "eleven":
                    continue
                value: Floats
                if number.kind == "precision":
                    value = ap[averaged].mean(axis=0) if number.level is None else ap[number.level]
                elif number.cap is None:
                    value = found[averaged].sum(axis=0) * share[area] / len(averaged)
                else:
                    value = capped[number.cap].total(weight) * share[0] / len(averaged)
                result[:, column, drawn] = value
    return result[:, :, :n]


def interval(values: Floats, value: Floats, n_images: Ints | None = None) -> tuple[Floats, Floats]:
    """The ends of the 95% interval of each ``value`` ``[k]`` from its resamples ``[k, n]``; NaN where there is none.

    Percentiles, corrected for bias (Efron, "Better Bootstrap Confidence Intervals", JASA 1987): AP
    grows where images repeat, so that resamples lie above their value. Where ``n_images`` ``[k]``,
    those with boxes, is known, also widened as Student's t is, since percentiles of few images are too
    narrow (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician
    2015). There is no interval under `MIN_IMAGES` (from one image it would be a point), nor where many
    resamples have no box and so no value.
    """
    known = np.isfinite(values).sum(axis=1)
    some = (known > 0) & (known >= values.shape[1] * (1 - MAX_EMPTY))
    if n_images is not None:
        some &= n_images >= MIN_IMAGES
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if some.any():
        ends = _levels(values[some], value[some], None if n_images is None else n_images[some])
        ranked, last = np.sort(values[some], axis=1), known[some] - 1
        low[some], high[some] = (_at(ranked, level * last) for level in ends)
    return low, high


def _levels(values: Floats, value: Floats, n_images: Ints | None) -> tuple[Floats, Floats]:
    """Which quantiles of each row of ``values`` are the ends of its interval."""
    from scipy.special import ndtr, ndtri, stdtrit  # slow to import

    known = np.isfinite(values).sum(axis=1)
    # a resample is summed otherwise than the value: equal ones may differ in the last bits
    above, below = (((sign * (values - value[:, None])) > ROUNDING).sum(axis=1) for sign in (1, -1))
    share = (below + (known - above - below) / 2) / known
    bias = ndtri(np.clip(share, 0.5 / known, 1 - 0.5 / known))
    reach = ndtri(1 - (1 - CONFIDENCE) / 2)
    if n_images is not None:
        reach = np.sqrt(n_images / (n_images - 1)) * stdtrit(n_images - 1, 1 - (1 - CONFIDENCE) / 2)
    return ndtr(2 * bias - reach), ndtr(2 * bias + reach)


def _at(ranked: Floats, place: Floats) -> Floats:
    """The value of each row at a place that may lie between two columns."""
    rows, below = np.arange(len(ranked)), np.floor(place).astype(np.int64)
    low, high = ranked[rows, below], ranked[rows, np.ceil(place).astype(np.int64)]
    return np.asarray(low + (high - low) * (place - below))


def mean_of_known(values: Floats) -> Floats:
    """The mean over the last axis of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=-1)
    n = known.sum(axis=-1)
    return np.divide(total, n, out=np.full(len(values), np.nan), where=n > 0)

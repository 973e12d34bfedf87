"""Boxes far from the median of their class: in size, aspect, or size beside their neighbours, in octaves.

Medians and spreads of the classes need all shards; only a shard whose own tally reaches beyond them is
read again.

The median absolute deviation alone does not do: of sizes that fall off as a power (Pareto's), which
objects at all distances do, it would flag one in a few hundred. So a box is an outlier only where a
tail of that kind, as wide as the class's own, would not reach so far either.
"""

from collections.abc import Mapping
from math import log

import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Floats, Ints, Rows
from detray.audit import tally
from detray.audit.rule import Active, Hits, OutlierRule
from detray.audit.statistics import Histogram, middle_and_spread, weighted_median
from detray.audit.tally import Tally
from detray.audit.view import NO_ID, View

MIN_SPREAD = 0.25
"""Octaves: a class whose boxes are all alike spreads at least so far."""

TAIL_SHARE = 0.95
"""Quantile of the boxes that says how wide the tail is; the two outermost boxes never do."""

MEASURES = ("size", "aspect", "beside")
_OF_MEASURE = ("middle", "spread", "low", "high", "n")
SPREADS = pa.schema(
    [
        ("category_id", pa.int64()),
        *((f"{measure}_{what}", pa.float64()) for measure in MEASURES for what in _OF_MEASURE),
    ]
)


def spreads(counted: Tally) -> pa.Table:
    """Of each class of a split and each measure: median, spread and number, and the widths of its two tails, octaves.

    A tail's width is the mean of the exponential that has the class's quantile `TAIL_SHARE`: sizes that
    fall off as a power fall off so in octaves. Source: Weissman, JASA 73 (1978).
    """
    rows = []
    for category_id in sorted(set(counted.per_class("size")) - {NO_ID}):
        row: dict[str, float] = {"category_id": category_id}
        for measure in MEASURES:
            keys, n = counted.histogram(measure, category_id)
            if not len(keys):
                continue
            middle, spread = (number / tally.BINS_PER_OCTAVE for number in middle_and_spread((keys, n)))
            tails = (_tail((-keys[::-1], n[::-1])), _tail((keys, n)))
            row |= dict(
                zip(
                    (f"{measure}_{what}" for what in _OF_MEASURE),
                    (middle, max(spread, MIN_SPREAD), *tails, float(n.sum())),
                    strict=True,
                )
            )
        rows.append(row)
    return pa.Table.from_pylist(rows, SPREADS)


def _tail(histogram: Histogram) -> float:
    """The width of the upper tail, octaves."""
    keys, n = histogram
    total = int(n.sum())
    rank = min(np.ceil(TAIL_SHARE * total), total - 2)
    if rank <= total / 2 + 1:
        return np.inf  # nothing is known of it
    reached = keys[np.searchsorted(np.cumsum(n), rank)] - keys[weighted_median(n)]
    return float(reached / tally.BINS_PER_OCTAVE / log(0.5 * total / (total - rank + 0.5)))


def may_be_any(counted: Tally, spread: pa.Table, active: Active) -> bool:
    """Whether a shard with this tally can hold a box that an outlier rule objects to."""
    for rule, limits in active.of(OutlierRule):
        ids, bins, _ = counted.all_of(rule.measure)
        low, high = _bounds(ids, rule, limits, spread)
        middles, half_bin = bins / tally.BINS_PER_OCTAVE, 0.51 / tally.BINS_PER_OCTAVE
        if ((middles - half_bin <= low) | (middles + half_bin >= high)).any():
            return True
    return False


def find(view: View, rule: OutlierRule, limits: Mapping[str, float], spread: pa.Table) -> Rows:
    """The rows that an outlier rule objects to."""
    low, high = _bounds(view.class_ids, rule, limits, spread)
    values = _measured(view, rule)
    far = (values <= low[view.class_codes]) | (values >= high[view.class_codes])
    if "min_ratio" in limits:
        far &= np.abs(view.log_width - view.log_height) >= np.log2(limits["min_ratio"])
    return np.flatnonzero(far)


def _measured(view: View, rule: OutlierRule) -> Floats:
    """What a rule measures of each annotation, in octaves; NaN where it is no object or has too few neighbours."""
    if rule.measure == "beside":
        return view.beside
    width, height = view.log_width, view.log_height
    return (width + height) / 2 if rule.measure == "size" else width - height


def _bounds(own: Ints, rule: OutlierRule, limits: Mapping[str, float], spread: pa.Table) -> tuple[Floats, Floats]:
    """From where on, below and above, a box of each of the classes ``own`` is an outlier, octaves; NaN if never."""
    if not spread.num_rows:
        return np.full(len(own), np.nan), np.full(len(own), np.nan)
    ids = tables.numpy(spread, "category_id")
    middle, least, *tails, n = _columns(spread, rule.measure)
    least = np.where(n >= limits["min_boxes"], least * limits["max_deviations"], np.inf)
    # n/2 boxes of an exponential of mean t give n/2 exp(-d/t) beyond the distance d
    reach = np.log(np.maximum(n, 1) / (2 * limits["max_expected"]))
    below, above = (np.fmax(least, tail * reach) for tail in tails)
    place = np.searchsorted(ids, own).clip(max=len(ids) - 1)
    known = ids[place] == own
    low, high = (np.where(known, bound[place], np.nan) for bound in (middle - below, middle + above))
    return low, high


def _columns(spread: pa.Table, measure: str) -> list[Floats]:
    """The columns `_OF_MEASURE` of one measure; where a class was not measured, nothing is known of it."""
    return [tables.numpy(spread, f"{measure}_{what}", 0.0 if what == "n" else np.nan) for what in _OF_MEASURE]


def describe(view: View, rule: OutlierRule, limits: Mapping[str, float], rows: Rows, spread: pa.Table) -> Hits:
    """What an outlier rule says of the rows it objects to.

    The confidence is one less the number of boxes that the class's tail gives so far out.
    """
    place = np.searchsorted(tables.numpy(spread, "category_id"), view.category_ids[rows])
    middle, _, low, high, n = (column[place] for column in _columns(spread, rule.measure))
    distance = _measured(view, rule)[rows] - middle
    with np.errstate(divide="ignore"):  # a class whose boxes are all alike has no tail
        beyond = n / 2 * np.exp(-np.abs(distance) / np.where(distance < 0, low, high))
    return Hits(
        rows,
        observed=rule.observed(view, rows),
        expected=rule.expected_of(view, rows, middle),
        confidence=1 - np.minimum(beyond, limits["max_expected"]),
    )

"""Boxes far from the median of their class, found in one pass over two numbers a box.

The first look at a shard keeps a scan: class, size and aspect of each box, in octaves. With the
medians and spreads of the classes, which need all shards, the outliers are found in the scan alone;
only where there are any is the shard read again.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from detray import tables
from detray.audit import tally
from detray.audit.rule import Active, Hits, OutlierRule, Rows
from detray.audit.statistics import middle_and_spread
from detray.audit.tally import Tally
from detray.audit.view import NO_ID, View

MIN_SPREAD = 0.25
"""Octaves: a class whose boxes are all alike spreads at least so far."""

MEASURES = ("size", "aspect")
SCAN = pa.schema([("category_id", pa.int64()), ("size", pa.float32()), ("aspect", pa.float32())])
SPREADS = pa.schema(
    [
        ("category_id", pa.int64()),
        ("n", pa.int64()),
        *((f"{measure}_{what}", pa.float64()) for measure in MEASURES for what in ("middle", "spread")),
    ]
)


def scan(view: View) -> pa.Table:
    """A row for each annotation: its class, and log2 of its size and aspect; NaN where it is no object."""
    width, height = view.log_width, view.log_height
    columns = [view.category_ids, ((width + height) / 2).astype(np.float32), (width - height).astype(np.float32)]
    return pa.table(columns, schema=SCAN)


def spreads(counted: Tally) -> pa.Table:
    """Median and spread of size and aspect of each class of a split, in octaves."""
    rows = []
    for category_id in sorted(set(counted.per_class("size")) - {NO_ID}):
        row: dict[str, float] = {"category_id": category_id}
        for measure in MEASURES:
            histogram = counted.histogram(measure, category_id)
            middle, spread = (number / tally.BINS_PER_OCTAVE for number in middle_and_spread(histogram))
            row |= {
                "n": int(histogram[1].sum()),
                f"{measure}_middle": middle,
                f"{measure}_spread": max(spread, MIN_SPREAD),
            }
        rows.append(row)
    return pa.Table.from_pylist(rows, SPREADS)


def find(scanned: pa.Table, spread: pa.Table, active: Active) -> dict[str, Rows]:
    """The rows that each outlier rule objects to, by code; rules without any are absent."""
    rules = active.of(OutlierRule)
    if not spread.num_rows or not rules:
        return {}
    ids = tables.numpy(spread, "category_id")
    own = tables.numpy(scanned, "category_id")
    place = np.searchsorted(ids, own).clip(max=len(ids) - 1)
    aspect = tables.numpy(scanned, "aspect")
    found: dict[str, Rows] = {}
    for rule, limits in rules:
        limit = limits["max_deviations"] * tables.numpy(spread, f"{rule.measure}_spread")
        limit[tables.numpy(spread, "n") < limits["min_boxes"]] = np.inf
        deviation = np.abs(tables.numpy(scanned, rule.measure) - tables.numpy(spread, f"{rule.measure}_middle")[place])
        far = (deviation >= limit[place]) & (ids[place] == own)
        if "min_ratio" in limits:
            far &= np.abs(aspect) >= np.log2(limits["min_ratio"])
        if far.any():
            found[rule.code] = np.flatnonzero(far)
    return found


def describe(view: View, rule: OutlierRule, limits: Mapping[str, float], rows: Rows, spread: pa.Table) -> Hits:
    """What an outlier rule says of the rows it objects to."""
    place = np.searchsorted(tables.numpy(spread, "category_id"), view.category_ids[rows])
    middle = tables.numpy(spread, f"{rule.measure}_middle")[place]
    width, height = view.log_width[rows], view.log_height[rows]
    value = (width + height) / 2 if rule.measure == "size" else width - height
    deviations = np.abs(value - middle) / tables.numpy(spread, f"{rule.measure}_spread")[place]
    return Hits(
        rows,
        observed=rule.observed(view, rows),
        expected=rule.expected_of(middle),
        confidence=1 - 1 / np.maximum(deviations, limits["max_deviations"]) ** 2,
    )

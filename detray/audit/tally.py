"""Counts that add up: what the rules on classes, splits and the data set judge by.

A tally is a table of (measure, category_id, key, n): the number n of things for which the measure of
that class is key. Tallies of two shards add up to the tally of both, in any order, so nothing that
is read from them depends on how the data set was cut. Sizes are counted in bins of 1/64 octave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from detray import tables
from detray.audit.view import NO_ID

BINS_PER_OCTAVE = 64
TALLY = pa.schema([("measure", pa.string()), ("category_id", pa.int64()), ("key", pa.int64()), ("n", pa.int64())])

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def octave_bins(values: ArrayLike) -> Ints:
    """The bin of each positive number, round(64 log2 v): centres 1.1% apart, powers of two among them."""
    return np.round(BINS_PER_OCTAVE * np.log2(np.asarray(values, np.float64))).astype(np.int64)


def bin_centres(bins: ArrayLike) -> Floats:
    """The number in the middle of each bin."""
    return np.exp2(np.asarray(bins, np.float64) / BINS_PER_OCTAVE)


def count(measure: str, categories: Ints | None, keys: Ints | None = None) -> pa.Table:
    """The tally of one measure: one thing for each row of ``categories`` and ``keys``.

    ``categories`` holds NO_ID (or is None) for what is about no class; no keys count as key 0.
    """
    if categories is None:
        categories = np.full(0 if keys is None else len(keys), NO_ID)
    if keys is None:
        keys = np.zeros(len(categories), np.int64)
    table = pa.table({"category_id": categories, "key": keys})
    counted = table.group_by(["category_id", "key"]).aggregate([([], "count_all")])
    ids = counted["category_id"].to_numpy()
    return pa.table(
        {
            "measure": pa.repeat(pa.scalar(measure), len(ids)),
            "category_id": pa.array(ids, mask=ids == NO_ID),
            "key": counted["key"],
            "n": counted["count_all"],
        },
        schema=TALLY,
    )


def add(parts: Sequence[pa.Table]) -> pa.Table:
    """The sum of tallies, in the order of measure, class and key."""
    merged = pa.concat_tables([TALLY.empty_table(), *parts])
    merged = merged.group_by(["measure", "category_id", "key"]).aggregate([("n", "sum")])
    merged = merged.rename_columns(["measure", "category_id", "key", "n"]).cast(TALLY)
    return merged.sort_by([("measure", "ascending"), ("category_id", "ascending"), ("key", "ascending")])


@dataclass(frozen=True)
class Tally:
    """Reading access to a merged tally."""

    table: pa.Table

    @cached_property
    def _by_measure(self) -> dict[str, tuple[Ints, Ints, Ints]]:
        found = {}
        for measure in pc.unique(self.table["measure"]).to_pylist():
            rows = self.table.filter(pc.equal(self.table["measure"], measure))
            ids = tables.numpy(rows, "category_id", NO_ID)
            order = np.argsort(ids, kind="stable")
            found[measure] = (ids[order], tables.numpy(rows, "key")[order], tables.numpy(rows, "n")[order])
        return found

    def total(self, measure: str) -> int:
        """Things counted under ``measure``, of all classes and of none."""
        return int(self._by_measure[measure][2].sum()) if measure in self._by_measure else 0

    def per_class(self, measure: str) -> dict[int, int]:
        """Things counted under ``measure`` by class; classes without are absent."""
        if measure not in self._by_measure:
            return {}
        ids, _, n = self._by_measure[measure]
        unique, start = np.unique(ids, return_index=True)
        return dict(zip(unique.tolist(), np.add.reduceat(n, start).tolist(), strict=True))

    def histogram(self, measure: str, category_id: int = NO_ID) -> tuple[Ints, Ints]:
        """Keys, rising, and their counts, of one class (or of what is about no class)."""
        if measure not in self._by_measure:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        ids, keys, n = self._by_measure[measure]
        low, high = np.searchsorted(ids, [category_id, category_id + 1])
        return keys[low:high], n[low:high]

    def quantiles(self, measure: str, category_id: int, shares: Sequence[float]) -> list[float | None]:
        """Quantiles of what was counted in octave bins, to half a bin (0.5%); None where nothing was."""
        bins, n = self.histogram(measure, category_id)
        if not len(bins):
            return [None] * len(shares)
        ends = np.cumsum(n)
        places = np.searchsorted(ends, np.asarray(shares) * ends[-1])
        return bin_centres(bins[places.clip(max=len(bins) - 1)]).tolist()

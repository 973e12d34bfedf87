"""Counts that add up: what the rules on classes, splits and the data set judge by.

A tally is a table of (measure, category_id, key, n): the number n of things for which the measure of
that class is key. Tallies of two shards add up to the tally of both, in any order, so nothing that
is read from them depends on how the data set was cut. Sizes are counted in bins of 1/64 octave.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from detray import tables
from detray.audit.view import NO_ID, distinct

BINS_PER_OCTAVE = 64
TALLY = pa.schema([("measure", pa.string()), ("category_id", pa.int64()), ("key", pa.int64()), ("n", pa.int64())])

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def bin_centres(bins: ArrayLike) -> Floats:
    """The number in the middle of each bin."""
    return np.exp2(np.asarray(bins, np.float64) / BINS_PER_OCTAVE)


_DENSE = 1 << 24
"""Cells up to which pairs of class and key are counted in an array rather than by sorting."""


def count(measure: str, ids: Ints, codes: Ints, keys: Ints | None = None, n: Ints | None = None) -> pa.Table:
    """The tally of one measure: ``n`` things (one where None) for each pair of class and key.

    Args:
        measure: its name.
        ids: the classes, rising; NO_ID stands for what is about no class.
        codes: place in ``ids`` of each thing's class, ``[k]``.
        keys: what each thing is counted under, ``[k]``; None: 0.
        n: ``[k]``.
    """
    if not len(codes):
        return TALLY.empty_table()
    low, high = (0, 0) if keys is None else (int(keys.min()), int(keys.max()))
    span = high - low + 1
    if len(ids) * span <= _DENSE:
        cells = codes if keys is None else codes * span + (keys - low)
        counts = np.bincount(cells, n).astype(np.int64)  # sums of n are exact in float64 below 2**53
        found = np.flatnonzero(counts)
        code, key, total = found // span, found % span + low, counts[found]
    else:
        keys = np.zeros(len(codes), np.int64) if keys is None else keys
        order = np.lexsort((keys, codes))
        starts = np.ones(len(order), bool)
        starts[1:] = (np.diff(codes[order]) != 0) | (np.diff(keys[order]) != 0)
        first = np.flatnonzero(starts)
        code, key = codes[order[first]], keys[order[first]]
        total = np.add.reduceat(np.ones(len(order), np.int64) if n is None else n[order], first)
    category = ids[code]
    return pa.table(
        {
            "measure": pa.repeat(pa.scalar(measure), len(code)),
            "category_id": pa.array(category, mask=category == NO_ID),
            "key": key,
            "n": total,
        },
        schema=TALLY,
    )


def count_all(measure: str, keys: Ints) -> pa.Table:
    """The tally of a measure that is about no class."""
    return count(measure, np.array([NO_ID]), np.zeros(len(keys), np.int64), keys)


def add(parts: Sequence[pa.Table]) -> pa.Table:
    """The sum of tallies, in the order of measure, class (what is about none first) and key."""
    summed = [
        count(measure, *distinct(ids), keys, n)
        for measure, ids, keys, n in _by_measure(pa.concat_tables([TALLY.empty_table(), *parts]))
    ]
    return pa.concat_tables([TALLY.empty_table(), *summed]).combine_chunks()


def _by_measure(table: pa.Table) -> Iterator[tuple[str, Ints, Ints, Ints]]:
    """Class, key and count of the rows of each measure, in the order of measures."""
    encoded = table["measure"].combine_chunks().dictionary_encode()
    measures = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes.astype(np.int16) if len(measures) < 1 << 15 else codes, kind="stable")
    columns = [tables.numpy(table, "category_id", NO_ID), tables.numpy(table, "key"), tables.numpy(table, "n")]
    ends = np.cumsum(np.bincount(codes, minlength=len(measures))).tolist()
    for measure, start, end in sorted(zip(measures, [0, *ends[:-1]], ends, strict=True)) if measures else []:
        rows = order[start:end]
        ids, keys, n = (column[rows] for column in columns)
        yield measure, ids, keys, n


@dataclass(frozen=True)
class Tally:
    """Reading access to a merged tally."""

    table: pa.Table

    @cached_property
    def _by_measure(self) -> dict[str, tuple[Ints, Ints, Ints]]:
        found = {}
        for measure, ids, keys, n in _by_measure(self.table):
            order = np.argsort(ids, kind="stable")
            found[measure] = (ids[order], keys[order], n[order])
        return found

    @property
    def measures(self) -> list[str]:
        return sorted(self._by_measure)

    def all_of(self, measure: str) -> tuple[Ints, Ints, Ints]:
        """Class, rising, key and count of everything under ``measure``."""
        nothing = np.zeros(0, np.int64)
        return self._by_measure.get(measure, (nothing, nothing, nothing))

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

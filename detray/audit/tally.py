"""Counts that add up: what the rules on classes, splits and the data set judge by.

A tally is a table of histograms: of each measure and class the keys, rising, and the number n of things that
were counted under each. Tallies of two shards add up to the tally of both, in any order, so nothing that
is read from them depends on how the data set was cut. Sizes are counted in bins of 1/64 octave.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from detray import tables
from detray.arrays import Floats, Ints
from detray.audit.view import NO_ID, distinct

BINS_PER_OCTAVE = 64
TALLY = pa.schema(
    [
        ("measure", pa.string()),
        ("category_id", pa.int64()),
        ("keys", pa.list_(pa.int64())),
        ("n", pa.list_(pa.int64())),
    ]
)


def bin_centres(bins: ArrayLike) -> Floats:
    """The number in the middle of each bin; infinite where no float64 is so large."""
    with np.errstate(over="ignore", under="ignore"):
        return np.exp2(np.asarray(bins, np.float64) / BINS_PER_OCTAVE)


def count(
    measure: str, ids: Ints, codes: Ints, keys: Ints | None = None, n: Ints | None = None, names: Ints | None = None
) -> pa.Table:
    """The tally of one measure: ``n`` things (one where None) for each pair of class and key.

    Args:
        measure: its name.
        ids: the classes, rising; NO_ID stands for what is about no class.
        codes: place in ``ids`` of each thing's class, ``[k]``.
        keys: what each thing is counted under, ``[k]``; None: 0.
        n: ``[k]``.
        names: the key that each of ``keys`` stands for, rising; None: itself.
    """
    if not len(codes):
        return TALLY.empty_table()
    code, key, total = _summed(codes, np.zeros(len(codes), np.int64) if keys is None else keys, n)
    starts = np.append(np.flatnonzero(np.diff(code, prepend=-1)), len(code))
    category = ids[code[starts[:-1]]]
    histograms = (pa.array(key if names is None else names[key]), pa.array(total))
    return pa.table(
        [
            pa.repeat(pa.scalar(measure), len(category)),
            pa.array(category, mask=category == NO_ID),
            *(pa.ListArray.from_arrays(pa.array(starts, pa.int32()), values) for values in histograms),
        ],
        schema=TALLY,
    )


_DENSE = 4
"""Cells for each thing up to which pairs of class and key are counted in an array rather than by sorting."""


def _summed(codes: Ints, keys: Ints, n: Ints | None) -> tuple[Ints, Ints, Ints]:
    """The pairs of code and key that there are, in order, and the sum of ``n`` of each."""
    low = int(keys.min())
    span = int(keys.max()) - low + 1
    size = (int(codes.max()) + 1) * span
    if size <= _DENSE * len(codes):
        counts = np.bincount(codes * span + (keys - low), n)  # sums of n are exact in float64 below 2**53
        cells = np.flatnonzero(counts != 0)  # faster than of the numbers
        total = counts[cells].astype(np.int64, copy=False)
    elif size < 1 << 62 and n is None:
        cells, total = np.unique(codes * span + (keys - low), return_counts=True)
    else:
        order = np.argsort(codes * span + (keys - low)) if size < 1 << 62 else np.lexsort((keys, codes))
        codes, keys = codes[order], keys[order]
        starts = np.ones(len(order), bool)
        starts[1:] = (codes[1:] != codes[:-1]) | (keys[1:] != keys[:-1])
        first = np.flatnonzero(starts)
        total = np.add.reduceat(np.ones(len(order), np.int64) if n is None else n[order], first)
        return codes[first], keys[first], total
    code = cells // span
    return code, cells - code * span + low, total


def count_all(measure: str, keys: Ints) -> pa.Table:
    """The tally of a measure that is about no class."""
    return count(measure, np.array([NO_ID]), np.zeros(len(keys), np.int64), keys)


def add(parts: Sequence[pa.Table]) -> pa.Table:
    """The sum of tallies, in the order of measure and class (what is about none first)."""
    summed = []
    for measure, runs in _by_measure(parts).items():
        ids, codes = distinct(np.concatenate([run.ids for run in runs]))
        codes = np.repeat(codes, np.concatenate([run.sizes for run in runs]))
        keys, n = (np.concatenate([getattr(run, name) for run in runs]) for name in ("keys", "n"))
        summed.append(count(measure, ids, codes, keys, n))
    return pa.concat_tables([TALLY.empty_table(), *summed]).combine_chunks()


def without_class(counted: pa.Table, suffix: str) -> pa.Table:
    """The sum over all classes; ``suffix`` ends the names of its measures."""
    summed = [TALLY.empty_table()]
    for measure, runs in _by_measure([counted]).items():
        keys, n = (np.concatenate([getattr(run, name) for run in runs]) for name in ("keys", "n"))
        summed.append(count(measure + suffix, np.array([NO_ID]), np.zeros(len(keys), np.int64), keys, n))
    return pa.concat_tables(summed)


@dataclass(frozen=True)
class _Run:
    """Rows of one measure that follow each other: the class and the number of keys of each, all keys, all n."""

    ids: Ints
    sizes: Ints
    keys: Ints
    n: Ints


def _by_measure(parts: Sequence[pa.Table]) -> dict[str, list[_Run]]:
    """The rows of each measure, in the order of measures."""
    found: dict[str, list[_Run]] = {}
    for batch in (batch for part in parts for batch in part.to_batches() if batch.num_rows):
        encoded = pc.run_end_encode(batch["measure"])
        ends = encoded.run_ends.to_pylist()
        for measure, start, end in zip(encoded.values.to_pylist(), [0, *ends[:-1]], ends, strict=True):
            rows = pa.Table.from_batches([batch.slice(start, end - start)])
            keys, n = (rows[name].chunk(0) for name in ("keys", "n"))
            run = _Run(
                tables.numpy(rows, "category_id", NO_ID),
                np.diff(keys.offsets.to_numpy()).astype(np.int64),
                keys.flatten().to_numpy(),
                n.flatten().to_numpy(),
            )
            found.setdefault(measure, []).append(run)
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Tally:
    """Reading access to a tally in which each measure and class stands once."""

    table: pa.Table

    @cached_property
    def _runs(self) -> dict[str, list[_Run]]:
        return _by_measure([self.table])

    @cached_property
    def _made(self) -> dict[str, dict[int, tuple[Ints, Ints]]]:
        return {}

    def _histograms(self, measure: str) -> dict[int, tuple[Ints, Ints]]:
        """By class, which rise: keys and their counts; made when they are first asked for."""
        if measure not in self._made:
            of_class = {}
            for run in self._runs.get(measure, []):
                ends = np.cumsum(run.sizes).tolist()
                for category_id, start, end in zip(run.ids.tolist(), [0, *ends[:-1]], ends, strict=True):
                    of_class[category_id] = (run.keys[start:end], run.n[start:end])
            self._made[measure] = dict(sorted(of_class.items()))
        return self._made[measure]

    @property
    def measures(self) -> list[str]:
        """The names of what was counted, in their order."""
        return list(self._runs)

    def all_of(self, measure: str) -> tuple[Ints, Ints, Ints]:
        """Class, key and count of everything under ``measure``."""
        runs = self._runs.get(measure, [])
        nothing = np.zeros(0, np.int64)
        ids = np.concatenate([nothing, *(np.repeat(run.ids, run.sizes) for run in runs)])
        keys, n = (np.concatenate([nothing, *(getattr(run, name) for run in runs)]) for name in ("keys", "n"))
        return ids, keys, n

    def total(self, measure: str) -> int:
        """Things counted under ``measure``, of all classes and of none."""
        return sum(int(run.n.sum()) for run in self._runs.get(measure, []))

    def per_class(self, measure: str) -> dict[int, int]:
        """Things counted under ``measure`` by class; classes without are absent."""
        return {category_id: int(n.sum()) for category_id, (_, n) in self._histograms(measure).items()}

    def histogram(self, measure: str, category_id: int = NO_ID) -> tuple[Ints, Ints]:
        """Keys, rising, and their counts, of one class (or of what is about no class)."""
        nothing = np.zeros(0, np.int64)
        return self._histograms(measure).get(category_id, (nothing, nothing))

    def quantiles(self, measure: str, category_id: int, shares: Sequence[float]) -> list[float | None]:
        """Quantiles of what was counted in octave bins, to half a bin (0.5%); None where nothing was."""
        bins, n = self.histogram(measure, category_id)
        if not len(bins):
            return [None] * len(shares)
        ends = np.cumsum(n)
        places = np.searchsorted(ends, np.asarray(shares) * ends[-1])
        return bin_centres(bins[places.clip(max=len(bins) - 1)]).tolist()


Split = TypeVar("Split", bound=Hashable)


def merge(parts: Iterable[tuple[Split, pa.Table]]) -> dict[Split, Tally]:
    """The tally of each split, or of whatever stands beside each of ``parts``, from its shards'."""
    by_split: dict[Split, tables.Total] = {}
    for split, part in parts:
        by_split.setdefault(split, tables.Total(add)).add(part)
    return {split: Tally(total.table()) for split, total in by_split.items()}

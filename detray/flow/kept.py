"""Handles on kept tables: small values that tasks are given instead of rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa

from detray.store import Stage, Stored


class Kept(Protocol):
    """A table that a task kept, or some of its batches.

    ``rows``: of each batch that this handle gives.
    """

    @property
    def rows(self) -> tuple[int, ...]: ...

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows that this handle gives, or some columns of them."""
        ...

    def batch(self, number: int) -> "Kept":
        """One batch alone."""
        ...

    def slice(self, low: int, high: int) -> pa.Table:
        """The rows from ``low`` up to, not including, ``high``; batches that hold none are not read."""
        ...


@dataclass(frozen=True)
class InMemory:
    """A kept table of a flow that runs in memory."""

    batches: tuple[pa.Table, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        return tuple(table.num_rows for table in self.batches)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        rows = pa.concat_tables(self.batches)
        return rows if columns is None else rows.select(list(columns))

    def batch(self, number: int) -> "InMemory":
        # a table without rows need not be in batches
        return InMemory((self.batches[number] if number < len(self.batches) else self.batches[0].slice(0, 0),))

    def slice(self, low: int, high: int) -> pa.Table:
        return self.read().slice(low, high - low)


@dataclass(frozen=True)
class InFile:
    """A kept table in the stage's scratch; ``chosen``: its batches that are given, None: all; ``whole``: its file."""

    stage: Stage
    name: str
    batch_rows: tuple[int, ...]
    schema: pa.Schema | None
    chosen: tuple[int, ...] | None = None
    whole: Stored | None = None

    @property
    def rows(self) -> tuple[int, ...]:
        if self.chosen is None:
            return self.batch_rows
        # of a table without rows no batch may be there
        return tuple(self.batch_rows[number] if number < len(self.batch_rows) else 0 for number in self.chosen)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        if self.schema is not None and not sum(self.rows):
            rows = self.schema.empty_table()
            return rows if columns is None else rows.select(list(columns))
        return self.stage.read_scratch(self.name, columns, batches=self.chosen, whole=self.whole)

    def batch(self, number: int) -> "InFile":
        return replace(self, chosen=(number,))

    def slice(self, low: int, high: int) -> pa.Table:
        wanted: list[int] = []
        before = start = 0
        for number, rows in enumerate(self.batch_rows):
            if before + rows > low and before < high:
                if not wanted:
                    start = before
                wanted.append(number)
            before += rows
        if not wanted and self.schema is not None:
            return self.schema.empty_table()
        return replace(self, chosen=tuple(wanted)).read().slice(low - start, high - low)

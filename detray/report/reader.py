"""Reads what the page needs from the tables, never more: class-sized tables whole, others by their best rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detray import schema
from detray.store import Json, Store, Stored

BATCH_ROWS = 64 * 1024
"""Rows that are held at once while a large table is gone through."""

_PLACE = ("_part", "_row")

Row = dict[str, Any]


@dataclass(frozen=True)
class Reader:
    """The complete stages of an output folder."""

    store: Store

    def manifest(self, stage: str) -> Json | None:
        """The manifest of a stage; None where it is not complete."""
        return self.store.manifest(stage)

    def has(self, table: str) -> bool:
        """Whether the stage that writes ``table`` is complete."""
        return self.manifest(schema.TABLES[table].stage) is not None

    def rows(self, table: str, filters: pc.Expression | None = None, columns: Sequence[str] | None = None) -> list[Row]:
        """The rows of a table whose size goes by classes, trials or epochs; none where it is absent."""
        if not self.has(table):
            return []
        found: list[Row] = self.store.read(table, columns=columns, filters=filters).to_pylist()
        return found

    def batches(self, table: str, columns: Sequence[str], stage: str | None = None) -> Iterator[pa.Table]:
        """Some columns of a table of any size, bit by bit, with each row's ``_part`` and ``_row`` in it."""
        stage = stage or schema.TABLES[table].stage
        if self.manifest(stage) is None:
            return
        for part, file in enumerate(self.store.files(table, stage)):
            start = 0
            with self.store.reading(file["file"]), self._open(file) as source:
                for batch in source.iter_batches(BATCH_ROWS, columns=list(columns)):
                    rows = pa.Table.from_batches([batch])
                    place = np.arange(start, start + rows.num_rows)
                    start += rows.num_rows
                    yield rows.append_column("_part", pa.array(np.full(rows.num_rows, part))).append_column(
                        "_row", pa.array(place)
                    )

    def counts(self, table: str, by: Sequence[str], stage: str | None = None) -> list[Row]:
        """How many rows of a table of any size hold each combination of the columns ``by``: their values and ``n``."""
        total: pa.Table | None = None
        for batch in self.batches(table, by, stage):
            part = batch.select(by).append_column("n", pa.array(np.ones(batch.num_rows, np.int64)))
            total = part if total is None else pa.concat_tables([total, part])
            total = total.group_by(list(by)).aggregate([("n", "sum")]).rename_columns([*by, "n"])
        return [] if total is None else total.to_pylist()

    def best(
        self,
        table: str,
        by: Sequence[str],
        value: str,
        count: int,
        filters: pc.Expression | None = None,
        also: Sequence[str] = (),
        stage: str | None = None,
    ) -> list[Row]:
        """The ``count`` rows of highest ``value`` for each combination of the columns ``by``, best first.

        NULL counts as the lowest value; of equal rows the first in the table come first. ``filters``
        may use ``by``, ``value`` and ``also``. ``stage``: whose table it is, where several write it.
        """
        kept: pa.Table | None = None
        for batch in self.batches(table, list(dict.fromkeys((*by, value, *also))), stage):
            rows = batch if filters is None else batch.filter(filters)
            kept = _highest(rows if kept is None else pa.concat_tables([kept, rows]), by, value, count)
        return [] if kept is None else self._at(table, kept, stage or schema.TABLES[table].stage)

    def of_images(
        self, table: str, split: str, image_ids: Sequence[int], filters: pc.Expression | None = None
    ) -> pa.Table:
        """The rows of ``table`` about some images of one split; parts that cannot hold any are not opened."""
        if not self.has(table) or not image_ids:
            return schema.empty(table)
        files = [
            file
            for file in self.store.files(table, schema.TABLES[table].stage)
            if "split" not in file
            or (file["split"] == split and any(file["low"] <= image_id <= file["high"] for image_id in image_ids))
        ]
        wanted = (pc.field("split") == split) & pc.field("image_id").isin(list(image_ids))
        return self.store.read_files(files, table, filters=wanted if filters is None else wanted & filters)

    def _open(self, file: Json) -> pq.ParquetFile:
        place = self.store.local(file["file"], Stored(file["bytes"], file["digest"]))
        stream = place or self.store.fs.open_input_file(self.store.path(file["file"]))
        return pq.ParquetFile(stream, page_checksum_verification=True)

    def _at(self, table: str, places: pa.Table, stage: str) -> list[Row]:
        """The whole rows at ``_part`` and ``_row`` of ``places``, in its order."""
        files = self.store.files(table, stage)
        wanted = list(zip(*(places[name].to_pylist() for name in _PLACE), strict=True))
        found: dict[tuple[int, int], Row] = {}
        for part in sorted({part for part, _ in wanted}):
            own = np.array(sorted(row for at, row in wanted if at == part))
            start = 0
            with self.store.reading(files[part]["file"]), self._open(files[part]) as source:
                for group in range(source.num_row_groups):
                    size = source.metadata.row_group(group).num_rows
                    inside = own[(own >= start) & (own < start + size)]
                    if len(inside):
                        rows = source.read_row_group(group).take(pa.array(inside - start)).to_pylist()
                        found |= {(part, int(row)): values for row, values in zip(inside, rows, strict=True)}
                    start += size
        return [found[place] for place in wanted]


def _highest(rows: pa.Table, by: Sequence[str], value: str, count: int) -> pa.Table:
    order = pc.sort_indices(
        rows,
        sort_keys=[
            *((name, "ascending") for name in by),
            (value, "descending"),
            *((name, "ascending") for name in _PLACE),
        ],
    )
    rows = rows.take(order)
    if not rows.num_rows:
        return rows
    changes = np.zeros(rows.num_rows, bool)
    for name in by:
        codes = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        indices = codes.indices.to_numpy()
        changes[1:] |= indices[1:] != indices[:-1]
    starts = np.flatnonzero(np.concatenate([[True], changes[1:]]))
    within = np.arange(rows.num_rows) - np.repeat(starts, np.diff(np.append(starts, rows.num_rows)))
    return rows.filter(pa.array(within < count))

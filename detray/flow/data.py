"""What earlier stages wrote, as a flow reads it: the output folder, or tables in memory."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.store import Json, ShardKey
from detray.tables import Shard


class Data(Protocol):
    """The tables of complete stages. `detray.store.Store` is one; like it, all cross processes."""

    def manifest(self, stage: str) -> Json | None:
        """What a complete stage says of itself: ``counts``, ``facts``, ...; None if it is not complete."""
        ...

    def files(self, table: str, stage: str) -> list[Json]:
        """The parts of a table, each with ``rows``, and ``split``, ``low`` and ``high`` where it is of one split."""
        ...

    def read(
        self, table: str, stage: str | None = None, columns: Sequence[str] | None = None, filters: Any = None
    ) -> pa.Table:
        """A whole table: only for tables that are small whatever the data set."""
        ...

    def read_files(
        self, files: Sequence[Json], table: str, columns: Sequence[str] | None = None, filters: Any = None
    ) -> pa.Table:
        """The rows of some parts."""
        ...

    def shards(self, splits: Sequence[str] | None = None) -> list[ShardKey]:
        """The image ranges that the data set is cut into, of ``splits`` or of all."""
        ...

    def read_shard(
        self, key: ShardKey, *, predictions: bool = False, columns: Mapping[str, Sequence[str]] | None = None
    ) -> Shard:
        """The tables of one range of images; ``columns`` may restrict each table's."""
        ...

    def read_range(self, table: str, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of ``table`` about the images of ``key``."""
        ...


@dataclass(frozen=True)
class MemoryData:
    """A data set in memory, cut in any way that keeps the rows of an image together.

    Args:
        parts: its shards, each sorted by image.
        tables: further tables by name; ``categories`` and ``predictions`` come from ``parts`` where not here.
        manifests: of earlier stages, by name.
    """

    parts: Sequence[Shard]
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    manifests: Mapping[str, Json] = field(default_factory=dict)

    def manifest(self, stage: str) -> Json | None:
        return self.manifests.get(stage)

    def files(self, table: str, stage: str) -> list[Json]:
        counts: Counter[str] = Counter()
        if self._is_in_parts(table):
            for part in self.parts:
                counts[part.split] += getattr(part, table).num_rows
        else:
            rows = self._whole(table)
            if "split" not in rows.column_names:
                return [{"file": table, "rows": rows.num_rows}] if rows.num_rows else []
            counts.update(
                {row["values"]: row["counts"] for row in rows["split"].drop_null().value_counts().to_pylist()}
            )
        found = [(split, n) for split, n in counts.items() if n]
        return [{"file": table, "rows": n, "number": number, "of": split} for number, (split, n) in enumerate(found)]

    def read(
        self, table: str, stage: str | None = None, columns: Sequence[str] | None = None, filters: Any = None
    ) -> pa.Table:
        return _restricted(self._whole(table), columns, filters)

    def read_files(
        self, files: Sequence[Json], table: str, columns: Sequence[str] | None = None, filters: Any = None
    ) -> pa.Table:
        rows = self._whole(table)
        found = [rows.filter(pc.equal(rows["split"], part["of"])) if "of" in part else rows for part in files]
        return _restricted(pa.concat_tables([rows.slice(0, 0), *found]), columns, filters)

    def shards(self, splits: Sequence[str] | None = None) -> list[ShardKey]:
        keys = []
        lows = [self._first_image(part) for part in self.parts]
        for index, part in enumerate(self.parts):
            after = [
                low for low, other in zip(lows[index + 1 :], self.parts[index + 1 :], strict=True)
                if other.split == part.split and low is not None
            ]  # fmt: skip
            is_first = all(other.split != part.split for other in self.parts[:index])
            low, high = None if is_first else lows[index], after[0] if after else None
            keys.append(ShardKey(index, part.split, low, high, part.images.num_rows, part.annotations.num_rows))
        return [key for key in keys if splits is None or key.split in splits]

    @staticmethod
    def _first_image(part: Shard) -> int | None:
        found: int | None = pc.min(part.images["image_id"]).as_py()
        return found

    def read_shard(
        self, key: ShardKey, *, predictions: bool = False, columns: Mapping[str, Sequence[str]] | None = None
    ) -> Shard:
        part, wanted = self.parts[key.index], columns or {}
        return replace(
            part,
            images=_restricted(part.images, wanted.get("images")),
            annotations=_restricted(part.annotations, wanted.get("annotations")),
            categories=self.read("categories", filters=[("split", "=", key.split)]),
            predictions=self.read_range("predictions", key, wanted.get("predictions"))
            if predictions
            else schema.empty("predictions"),
        )

    def read_range(self, table: str, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table:
        if not self._is_in_parts(table):
            return _restricted(self._whole(table), columns, key.filters())
        return _restricted(self._near(table, key), columns, key.filters()[1:])

    def _is_in_parts(self, table: str) -> bool:
        return table in ("images", "annotations", "predictions") and table not in self.tables

    def _near(self, table: str, key: ShardKey) -> pa.Table:
        """The rows of those parts of the split that may hold some about the images of ``key``."""
        found = [schema.empty(table)]
        for part in self.parts:
            rows = getattr(part, table)
            low, high = pc.min_max(rows["image_id"]).as_py().values()
            if part.split == key.split and (
                low is None or key.may_hold({"split": key.split, "low": low, "high": high})
            ):
                found.append(rows)
        return pa.concat_tables(found)

    def _whole(self, table: str) -> pa.Table:
        if table in self.tables:
            return self.tables[table]
        if table == "categories":
            first = {part.split: part.categories for part in reversed(self.parts)}
            return pa.concat_tables([schema.empty(table), *first.values()])
        if table in ("images", "annotations", "predictions"):
            return pa.concat_tables([schema.empty(table), *(getattr(part, table) for part in self.parts)])
        return schema.empty(table)


def _restricted(rows: pa.Table, columns: Sequence[str] | None, filters: Any = None) -> pa.Table:
    for name, operator, value in filters or ():
        chosen = _OPERATORS[operator](rows[name], value)
        if pc.all(chosen, skip_nulls=False).as_py() is not True:  # most often all are
            rows = rows.filter(chosen)
    return (rows if columns is None else rows.select(list(columns))).combine_chunks()


_OPERATORS: Mapping[str, Callable[[pa.ChunkedArray, Any], pa.ChunkedArray]] = {
    "=": pc.equal,
    "<": pc.less,
    ">=": pc.greater_equal,
    "in": lambda values, wanted: pc.is_in(values, value_set=pa.array(wanted, values.type)),
}
"""Those of pyarrow's filters that flows use: a dataset of a table in memory takes ten times as long."""


def unseen_images(data: Data, key: ShardKey) -> pa.Table:
    """``image_id`` of those images of a shard whose pictures the detector could not read.

    An image without detections has been looked at; so have all, where the detections are of a file.
    """
    files = [part for part in data.files("quarantine", "predict") if key.may_hold(part)]
    rows = data.read_files(files, "quarantine", ("image_id",), key.filters())
    return rows.filter(rows["image_id"].is_valid())


def names_of(data: Data, split: str) -> dict[int, str]:
    """The classes of a split by id: those of its annotations, or where they have none those of a label map."""
    return tables.class_names(tables.own_classes(data.read("categories", filters=[("split", "=", split)])))


def cut(shard: Shard, pieces: int) -> list[Shard]:
    """The images of one split in ``pieces`` shards of about equally many images each.

    Annotations without an image are in the first.
    """
    ids = pc.unique(shard.images["image_id"].drop_null()).sort() if pieces > 1 else []
    bounds = [ids[len(ids) * number // pieces].as_py() for number in range(1, pieces)] if len(ids) else []
    found = []
    for low, high in zip([None, *bounds], [*bounds, None], strict=True):
        parts = {name: _between(getattr(shard, name), low, high) for name in ("images", "annotations", "predictions")}
        found.append(replace(shard, **parts))
    return found


def _between(rows: pa.Table, low: int | None, high: int | None) -> pa.Table:
    if low is None and high is None:
        return rows
    values = tables.numpy(rows, "image_id", -(1 << 62) if low is None else (low - 1))
    keep = (values >= low) if low is not None else (values < high)
    if low is not None and high is not None:
        keep &= values < high
    return rows.filter(pa.array(keep))

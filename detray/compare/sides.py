"""The two folders that are compared, and the images that both have."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.errors import UsageError
from detray.flow.data import names_of
from detray.store import Store


@dataclass(frozen=True)
class Side:
    """An output folder.

    Attributes:
        name: what it is called.
        store: the folder.
        settings: of its newest stage, by dotted key.
    """

    name: str
    store: Store
    settings: dict[str, Any]

    def has(self, table: str) -> bool:
        """Whether the stage that writes ``table`` is complete."""
        return self.store.manifest(schema.TABLES[table].stage) is not None

    def rows(self, table: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
        """The rows of a table whose size goes by classes; none where it is absent."""
        found: list[dict[str, Any]] = self.store.read(table, columns=columns).to_pylist() if self.has(table) else []
        return found

    @cached_property
    def splits(self) -> list[str]:
        return list(dict.fromkeys(key.split for key in self.store.shards())) if self.has("images") else []

    def names(self, split: str) -> dict[int, str]:
        """The classes of a split, by id."""
        return names_of(self.store, split)

    def images(self, split: str) -> pa.Table:
        """image_id and file_name of the images that have a name, the first of each name."""
        found = self.store.read("images", columns=["image_id", "file_name", "split"], filters=[("split", "=", split)])
        found = found.filter(pc.and_(found["file_name"].is_valid(), found["image_id"].is_valid()))
        return found.group_by("file_name", use_threads=False).aggregate([("image_id", "first")])


@dataclass(frozen=True)
class Pair:
    """An earlier and a later folder; every difference is the later one less the earlier one."""

    earlier: Side
    later: Side

    def shared(self, split: str) -> pa.Table:
        """file_name, ``earlier`` and ``later`` (ids) of the images of a split that both have."""
        if split not in self.earlier.splits or split not in self.later.splits:
            return pa.table({"file_name": pa.array([], pa.string()), "earlier": _NO_IDS, "later": _NO_IDS})
        mine = self.later.images(split).rename_columns(["file_name", "later"])
        theirs = self.earlier.images(split)
        mine = mine.append_column("earlier", tables.lookup(mine["file_name"], theirs, "file_name", "image_id_first"))
        return mine.filter(mine["earlier"].is_valid()).sort_by("later")

    def class_ids(self, split: str) -> dict[int, int]:
        """The later id of each earlier id of a class, by name."""
        later = {name: number for number, name in self.later.names(split).items()}
        return {number: later[name] for number, name in self.earlier.names(split).items() if name in later}

    @property
    def label(self) -> dict[str, str]:
        return {"earlier": self.earlier.name, "later": self.later.name}


_NO_IDS = pa.array([], pa.int64())


def require_complete(side: Side) -> None:
    """Refuse a folder without results.

    Raises:
        UsageError: no stage is complete there.
    """
    if side.store.manifest("ingest") is None:
        raise UsageError(f"{side.name}: no results of detray are there; name the output folder of a run")

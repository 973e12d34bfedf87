"""Where the outputs of tasks go: files below a stage's folder, or this process's memory."""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import Any, Protocol

import msgspec
import pyarrow as pa

from detray import mirror, schema
from detray.errors import DetrayError
from detray.flow.exchange import divide
from detray.flow.kept import InFile, InMemory, Kept
from detray.flow.receipt import Aside, Receipt, decode, scratch_name, shard_name
from detray.flow.step import Keep, Output, Step
from detray.flow.workspace import Workspace
from detray.store import PARTIAL, Part, Stage, Store, Stored
from detray.store.integrity import stored

BETWEEN = 5.0
"""Seconds between two files of receipts in an object store: a driver that is killed loses no more than that."""
TOLD = 20
"""Rows of a task's quarantine that its receipt names, for the log."""

_turn = threading.RLock()
"""Held by who changes what is pending: the driver, or the thread that stores what no later task gives a reason to."""


class Keeper(Protocol):
    """Stores what tasks give back, and finds it again."""

    def receipts(self, note: Callable[[str], None]) -> dict[str, Receipt]:
        """Of the tasks that were whole before this run and still are, by shard; ``note`` is told of those damaged."""
        ...

    def store(self, step: Step[Any, Any, Any], key: str, output: Output[Any], buckets: int) -> Receipt:
        """Store an output; its receipt is stored last. Kept tables that are exchanged are divided into ``buckets``."""
        ...

    def finished(self, receipt: Receipt) -> None:
        """Told on the driver of each task that is whole: receipts go to an object store some at a time."""
        ...

    def flush(self) -> None:
        """Store the receipts that are not yet."""
        ...

    def forget(self, shard: str) -> None:
        """Drop the receipt of a shard: the next run does it again."""
        ...

    def kept(self, step: Step[Any, Any, Any], receipt: Receipt, name: str) -> Kept:
        """A table that a task kept."""
        ...

    def workspace(self, name: str) -> Workspace:
        """A place where tasks that run long keep how far they are."""
        ...


def batches_of(keep: Keep, rows: pa.Table | Sequence[pa.Table], buckets: int) -> list[pa.Table]:
    """The tables that can be read alone."""
    if not isinstance(rows, pa.Table):
        return list(rows)
    if keep.by is not None:
        return divide(rows, keep.by, buckets)
    if keep.batch_rows is None:
        return [rows]
    starts = range(0, max(rows.num_rows, 1), keep.batch_rows)
    return [rows.slice(start, keep.batch_rows) for start in starts]


def _receipt(
    step: Step[Any, Any, Any],
    key: str,
    output: Output[Any],
    tables: dict[str, list[Part]],
    kept: Mapping[str, Sequence[pa.Table]],
    scratch: dict[str, Stored],
    files: dict[str, Stored],
) -> Receipt:
    facts = msgspec.Raw(msgspec.json.encode(output.facts))
    rows = {name: [batch.num_rows for batch in batches] for name, batches in kept.items()}
    return Receipt(step.name, key, tables, rows, scratch, files, facts, _aside(output.tables.get("quarantine")))


def _aside(rows: pa.Table | None) -> list[Aside]:
    """The first of the rows that a task left out."""
    if rows is None:
        return []
    first = schema.conform(rows.slice(0, TOLD), "quarantine").select(list(Aside.__struct_fields__))
    return [Aside(**{name: _stated(value) for name, value in row.items()}) for row in first.to_pylist()]


def _stated(value: Any) -> Any:
    return mirror.stated(value) if isinstance(value, str) else value


@dataclass
class FileKeeper:
    """Keeps outputs in a stage's ``_partial``, from where a run that was cut off goes on."""

    stage: Stage
    done: Mapping[str, bytes] = field(default_factory=dict)
    _pending: dict[str, bytes] = field(default_factory=dict)
    _written: float = field(default_factory=monotonic)
    _later: threading.Timer | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"stage": self.stage}  # a task has no more to do with it than to store

    def receipts(self, note: Callable[[str], None]) -> dict[str, Receipt]:
        found: dict[str, Receipt] = {}
        for shard, data in self.done.items():
            with suppress(msgspec.DecodeError):
                found[shard] = decode(data)
        changed = self.stage.changed(
            {path: file for receipt in found.values() for path, file in receipt.stored.items()}
        )
        whole = {shard: receipt for shard, receipt in found.items() if changed.isdisjoint(receipt.stored)}
        damaged = [shard for shard in self.done if shard not in whole]
        if damaged:
            self.stage.delete(changed)
            for shard in damaged:
                self.stage.forget(shard)
            more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
            folder = self.stage.store.path(self.stage.name, PARTIAL)
            note(f"{folder}: what {damaged[0]}{more} had left there is damaged; it is done again")
        return whole

    def store(self, step: Step[Any, Any, Any], key: str, output: Output[Any], buckets: int) -> Receipt:
        shard = shard_name(step.name, key)
        number = int(key) if step.numbers_parts else None
        tables = {
            table: parts
            for table, rows in output.tables.items()
            if (parts := self.stage.write_parts(table, shard, rows, number=number))
        }
        kept = {name: batches_of(step.keep(name), rows, buckets) for name, rows in output.kept.items()}
        scratch = {
            name: self.stage.write_scratch(scratch_name(step.name, name, key), batches)
            for name, batches in kept.items()
            if step.keep(name).schema is None or any(batch.num_rows for batch in batches)
        }
        files = {path: self.stage.write_file(path, content) for path, content in output.files.items()}
        receipt = _receipt(step, key, output, tables, kept, scratch, files)
        if self.stage.store.is_local:
            self.stage.write_receipt(shard, receipt.encode())
        return receipt

    def finished(self, receipt: Receipt) -> None:
        if not self.stage.store.is_local:
            with _turn:
                self._pending[receipt.shard] = receipt.encode()
                if monotonic() > self._written + BETWEEN:
                    self.flush()
                elif self._later is None:  # the next task may take hours
                    self._later = threading.Timer(BETWEEN, self._flush_late)
                    self._later.daemon = True
                    self._later.start()

    def _flush_late(self) -> None:
        with suppress(DetrayError):  # who flushes next says what is wrong
            self.flush()

    def flush(self) -> None:
        with _turn:
            if self._later is not None:
                self._later.cancel()
                self._later = None
            if self._pending:
                self.stage.write_receipts(self._pending)
                self._pending.clear()
            self._written = monotonic()

    def forget(self, shard: str) -> None:
        with _turn:
            self._pending.pop(shard, None)
            self.stage.forget(shard)

    def kept(self, step: Step[Any, Any, Any], receipt: Receipt, name: str) -> Kept:
        keep = step.keep(name)
        rows = tuple(receipt.kept.get(name, ()))
        file = receipt.scratch.get(name)
        return InFile(self.stage, scratch_name(step.name, name, receipt.key), rows, keep.schema, whole=file)

    def workspace(self, name: str) -> Workspace:
        return Workspace(self.stage.store, (self.stage.name, PARTIAL, "work", name))


class MemoryKeeper:
    """Keeps outputs in this process: for tests, and for work that is done sooner than files are written."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, list[pa.Table]]] = {}
        self._kept: dict[tuple[str, str, str], tuple[pa.Table, ...]] = {}
        self.files: dict[str, bytes] = {}

    def receipts(self, note: Callable[[str], None]) -> dict[str, Receipt]:
        return {}

    def store(self, step: Step[Any, Any, Any], key: str, output: Output[Any], buckets: int) -> Receipt:
        shard = shard_name(step.name, key)
        for table, rows in output.tables.items():
            self._tables.setdefault(table, {})[shard] = [schema.conform(rows, table)]
        kept = {name: batches_of(step.keep(name), rows, buckets) for name, rows in output.kept.items()}
        for name, batches in kept.items():
            self._kept[step.name, key, name] = tuple(batches)
        for path, content in output.files.items():
            self.files[path] = content if isinstance(content, bytes) else b"".join(_pieces(content))
        files = {path: stored(len(self.files[path]), self.files[path]) for path in output.files}
        return _receipt(step, key, output, {}, kept, {}, files)

    def finished(self, receipt: Receipt) -> None:
        """Nothing is kept for another run."""

    def flush(self) -> None:
        """Nothing is kept for another run."""

    def forget(self, shard: str) -> None:
        """Nothing is kept for another run."""

    def kept(self, step: Step[Any, Any, Any], receipt: Receipt, name: str) -> Kept:
        batches = self._kept.get((step.name, receipt.key, name))
        if batches is None:
            empty = step.keep(name).schema
            return InMemory(() if empty is None else (empty.empty_table(),))
        return InMemory(batches)

    def workspace(self, name: str) -> Workspace:
        return Workspace(self._disk, (name,))

    @cached_property
    def _disk(self) -> Store:
        """A temporary folder, since trainings keep their state in files; gone with the keeper."""
        folder = tempfile.mkdtemp(prefix="detray-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Store(folder)

    def tables(self, *names: str) -> dict[str, pa.Table]:
        """The stage's tables: those that tasks wrote, and of ``names`` those that none did, without rows."""
        found = {
            name: pa.concat_tables([rows for shard in sorted(shards) for rows in shards[shard]])
            for name, shards in self._tables.items()
        }
        return {name: schema.empty(name) for name in names} | found


def _pieces(content: bytes | Iterable[bytes]) -> Iterable[bytes]:
    return [content] if isinstance(content, bytes) else content

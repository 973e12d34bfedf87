"""A stage while it is written: parts, kept tables and receipts in ``_partial``, and the commit.

A running stage writes whole shards into ``<stage>/_partial/``; a shard's receipt, written last,
says that it is whole. `Stage.commit` moves the parts into ``<stage>/<table>/`` and writes
``manifest.json`` last. A task that runs twice overwrites its own files, so no row is ever doubled; a
stage that died goes on from its receipts. On object stores moving is copying.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.ipc

from detray import mirror, schema
from detray.errors import DamagedError
from detray.store.integrity import Stored, sealed, unsealed
from detray.store.manifest import MANIFEST, Json
from detray.store.parts import MAX_PART_ROWS, Part, encode, part_of
from detray.store.store import Store, readable_errors

PARTIAL = "_partial"
BATCH = "batch "
"""What the name of a file begins with that holds the receipts of several shards: no shard is called so."""
PLACES = ("path", "file", "source_file", "file_name", "detail", "message")
"""Columns that may name files."""
COPIES = 16
"""Objects that are copied at once."""


def _named(rows: pa.Table, run_id: str | None) -> pa.Table:
    """``rows`` with the id of the output folder."""
    place = rows.schema.get_field_index(schema.RUN_ID.name)
    if run_id is None or place < 0:
        return rows
    column = pa.repeat(pa.scalar(run_id), rows.num_rows)
    return rows.set_column(place, rows.schema.field(place), column)


@dataclass(frozen=True)
class Stage:
    """A stage while it is written. Small and picklable: tasks get a copy and write their own shards."""

    store: Store
    name: str
    run_id: str | None = None
    """Goes into the column of that name, where the stage runs in an output folder that has one."""

    def begin(self, fingerprint: str, note: Callable[[str], None] = lambda text: None) -> dict[str, bytes]:
        """Open the stage and return the receipts of shards that are already whole, by shard; empty where damaged.

        What an earlier run with another fingerprint left in ``_partial`` is deleted. ``note`` is told
        where that could not be known.
        """
        found = known = None
        is_there = PARTIAL in self.store.names(self.name)
        try:
            if is_there and (found := self.store.read_bytes(self.name, PARTIAL, "fingerprint")) is not None:
                known = unsealed(found)
        except DamagedError:
            found = b""
        if known == fingerprint.encode():
            return self.receipts()
        if found is not None and known is None:
            note(f"{self.store.path(self.name, PARTIAL, 'fingerprint')}: damaged; {self.name} begins anew")
        if is_there:
            self.store.delete(self.name, PARTIAL)
        self.store.write_bytes(sealed(fingerprint.encode()), self.name, PARTIAL, "fingerprint")
        return {}

    def discard(self) -> None:
        """Delete what makes the stage complete, and what a run that was cut off left."""
        self.store.forget(self.name)
        self.store.delete(self.name, PARTIAL)
        self.store.delete(self.name, MANIFEST)

    # receipts

    def receipts(self) -> dict[str, bytes]:
        """The receipts of the shards that are whole, by shard; empty where damaged."""
        found: dict[str, bytes] = {}
        for name in self.store.names(self.name, PARTIAL, "receipts"):  # batches come in their order
            shard, is_json, _ = name.rpartition(".json")
            receipt = self._receipt(name) if is_json else None
            if receipt is not None and name.startswith(BATCH):
                with contextlib.suppress(msgspec.DecodeError):  # its tasks are done again
                    found.update(msgspec.json.decode(receipt, type=dict[str, msgspec.Raw]))
            elif receipt is not None:
                found[shard] = receipt
        return {shard: bytes(receipt) for shard, receipt in found.items() if bytes(receipt) != b"null"}

    def _receipt(self, name: str) -> bytes | None:
        """The content of a file of receipts; None if there is none, empty if it is damaged."""
        try:
            found = self.store.read_bytes(self.name, PARTIAL, "receipts", name)
        except DamagedError:
            return b""
        return None if found is None else unsealed(found) or b""

    def write_receipt(self, shard: str, receipt: bytes) -> None:
        """Say that a shard is whole, with what there is to say of it."""
        self.store.write_bytes(sealed(receipt), self.name, PARTIAL, "receipts", f"{shard}.json")

    def write_receipts(self, receipts: Mapping[str, bytes]) -> None:
        """Say so of several shards at once, with JSON; ``null`` takes back what was said."""
        batch = msgspec.json.encode({shard: msgspec.Raw(receipt) for shard, receipt in receipts.items()})
        self.write_receipt(f"{BATCH}{time.time_ns():020d}", batch)

    def changed(self, files: Mapping[str, Stored]) -> set[str]:
        """Those of some files below ``_partial`` that are not as they were written.

        Files that a commit moved before it was cut off are not among them: it looks at them itself.
        """
        prefix = f"{self.name}/{PARTIAL}/"
        found = self.store.changed({prefix + path: file for path, file in files.items()})
        is_moving = bool(found) and self.store.read_bytes(self.name, PARTIAL, "committing") is not None
        return {path.removeprefix(prefix) for path, is_there in found.items() if is_there or not is_moving}

    def delete(self, files: Iterable[str]) -> None:
        """Delete some files below ``_partial``, so that nothing is in the way."""
        for path in files:
            self.store.delete(self.name, PARTIAL, path)

    def forget(self, shard: str) -> None:
        """Take back that a shard is whole."""
        if not self.store.is_local:
            self.write_receipts({shard: b"null"})
            return
        self.store.delete(self.name, PARTIAL, "receipts", f"{shard}.json")

    # tables and files

    def write_parts(self, table: str, shard: str, rows: pa.Table, *, number: int | None = None) -> list[Part]:
        """Write the rows of a shard, conformed, as parts of at most `MAX_PART_ROWS`; none where there are none.

        With ``number`` they are one part, whatever their number, also where there are none.
        """
        rows = _named(_stated(schema.conform(rows, table)), self.run_id)
        if number is not None:
            return [self._write_part(table, f"{shard}-000", rows, number)]
        starts = range(0, rows.num_rows, MAX_PART_ROWS)
        return [
            self._write_part(table, f"{shard}-{place:03d}", rows.slice(start, MAX_PART_ROWS))
            for place, start in enumerate(starts)
        ]

    def _write_part(self, table: str, name: str, rows: pa.Table, number: int | None = None) -> Part:
        data = encode(rows)
        file = f"{name}.parquet"
        whole = self.store.write(lambda stream: stream.write(data), self.name, PARTIAL, table, file)
        return part_of(file, rows, whole, number)

    def write_file(self, path: str, content: bytes | Iterable[bytes]) -> Stored:
        """Write a file of the stage that is no table; it appears below its folder with the commit."""
        pieces = [content] if isinstance(content, bytes) else content

        def fill(stream: Any) -> None:
            for piece in pieces:
                stream.write(piece)

        return self.store.write(fill, self.name, PARTIAL, "files", *path.split("/"))

    def _gone(self, *parts: str) -> DamagedError:
        return self.store.damaged("/".join((self.name, PARTIAL, *parts)), "gone")

    # scratch

    def write_scratch(self, name: str, batches: Sequence[pa.Table]) -> Stored:
        """Keep a table for a later step of this stage, in ``_partial/scratch``; the commit deletes it.

        ``batches`` are of one schema, and each can be read alone.
        """
        columns = batches[0].schema
        # on a local disk scratch is mapped, which compression would prevent
        options = pa.ipc.IpcWriteOptions(compression=None if self.store.is_local else "lz4")

        def fill(stream: Any) -> None:
            with pa.ipc.new_file(stream, columns, options=options) as writer:
                for batch in batches:
                    # combining copies even a single chunk
                    arrays = [c.chunk(0) if c.num_chunks == 1 else c.combine_chunks() for c in batch.columns]
                    writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=columns))

        return self.store.write(fill, self.name, PARTIAL, "scratch", f"{name}.arrow")

    def read_scratch(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        *,
        batches: Sequence[int] | None = None,
        whole: Stored | None = None,
    ) -> pa.Table:
        """What `write_scratch` kept under ``name``, or some of its columns; of a mapped file only the
        pages that are used are read.

        ``batches`` reads only those by number, and maps nothing: mapped pages count as memory of every
        process that touches them. ``whole``: what `write_scratch` said of it.

        Raises:
            DamagedError: nothing is kept under that name, or it cannot be read.
        """
        file = f"{self.name}/{PARTIAL}/scratch/{name}.arrow"

        def read(path: str | None) -> pa.Table:
            source: pa.NativeFile
            if path is None:
                source = self.store.fs.open_input_file(self.store.path(file))
            else:
                source = pa.memory_map(path) if batches is None else pa.OSFile(path)
            with contextlib.closing(source) if batches is not None else contextlib.nullcontext():
                reader = pa.ipc.open_file(source)
                if batches is None:
                    return reader.read_all()
                return pa.Table.from_batches([reader.get_batch(number) for number in batches], reader.schema)

        rows = self.store.read_here(file, whole, read)
        return rows if columns is None else rows.select(list(columns))

    # commit

    def commit(
        self,
        parts: Mapping[str, Sequence[Part]],
        files: Mapping[str, Stored],
        manifest: Json,
        config: str,
        tables: Sequence[str],
    ) -> Json:
        """Make the stage visible: move every part and file, write ``config.yaml``, then the manifest.

        Args:
            parts: of each table, in the order in which they are numbered, but for those that have a number.
            files: by the paths given to `write_file`.
            manifest: what it holds beside the tables.
            config: the resolved configuration as YAML.
            tables: each gets at least one part, so that readers find its columns.

        Raises:
            DamagedError: what was written is not there any more.
        """
        names = tuple(dict.fromkeys((*tables, *parts)))
        # a commit that was cut off goes on: what it moved stays, what the run before left is already gone
        is_new = self.store.read_bytes(self.name, PARTIAL, "committing") is None
        if is_new:
            tops = {path.partition("/")[0] for path in files}
            leftovers = {MANIFEST, "config.yaml", "quarantine", *names, *tops}.intersection(self.store.names(self.name))
            for leftover in sorted(leftovers, key=lambda name: name != MANIFEST):
                self.store.delete(self.name, leftover)
            self.store.write_bytes(b"", self.name, PARTIAL, "committing")
        moves: list[tuple[str, str, Stored]] = [
            (f"files/{path}", f"{self.name}/{path}", file) for path, file in files.items()
        ]
        listed: dict[str, Json] = {}
        for table in names:
            own = parts.get(table) or [self._write_part(table, "empty", schema.empty(table))]
            moved = []
            for place, part in enumerate(own):
                number = place if part.number is None else part.number
                target = f"{self.name}/{table}/part-{number:05d}.parquet"
                moves.append((f"{table}/{part.file}", target, part.stored))
                moved.append(msgspec.structs.replace(part, file=target, number=None))
            listed[table] = {"rows": sum(part.rows for part in moved), "files": msgspec.to_builtins(moved)}
        self._move_all(moves, is_new)
        self.store.write_bytes(config.encode(), self.name, "config.yaml")
        complete = {"stage": self.name} | manifest | {"files": msgspec.to_builtins(files), "tables": listed}
        complete = json.loads(mirror.stated(json.dumps(complete)))
        self.store.write_manifest(self.name, complete)
        self.store.delete_folder(self.name, PARTIAL)
        return complete

    def _move_all(self, moves: Sequence[tuple[str, str, Stored]], is_new: bool) -> None:
        """Move files from ``_partial`` to their places below the root; ``is_new``: none of them was before."""

        def move(one: tuple[str, str, Stored]) -> None:
            self._move(*one, is_new)

        if self.store.is_local:
            for one in moves:
                move(one)
            return
        with ThreadPoolExecutor(COPIES) as pool:
            for _ in pool.map(move, moves):
                pass

    def _move(self, name: str, target: str, written: Stored, is_new: bool) -> None:
        source, place = self.store.path(self.name, PARTIAL, name), self.store.path(target)
        fs = self.store.fs
        with readable_errors(place):
            is_asked = self.store.is_local or not is_new
            if is_asked and fs.get_file_info(source).type == pafs.FileType.NotFound:
                if self.store.stored(target) != written:
                    raise self._gone(name)
                return  # moved by the commit that was cut off
            fs.create_dir(place.rpartition("/")[0], recursive=True)
            if self.store.is_local:
                fs.move(source, place)
            else:
                fs.copy_file(source, place)
                self.store.copied(f"{self.name}/{PARTIAL}/{name}", target, written)


def _stated(rows: pa.Table) -> pa.Table:
    """Rows that name files as a person does: by URIs, where paths on this machine stand for these."""
    for place, name in enumerate(rows.column_names):
        if name in PLACES and mirror.is_used():
            column = mirror.stated_column(rows[name])
            rows = rows.set_column(place, rows.schema.field(place), column)
    return rows

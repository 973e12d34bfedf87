"""The output folder: Parquet parts that become visible all at once, stage by stage.

A running stage writes whole shards into ``<stage>/_partial/``; a shard's receipt, written last,
says that it is whole. `Stage.commit` moves the parts into ``<stage>/<table>/`` and writes
``manifest.json`` last: a stage is complete once that stands. A task that runs twice overwrites its
own files, so no row is ever doubled; a stage that died goes on from its receipts. Any place that
pyarrow.fs opens will do, object stores too, where moving is copying.
"""

import contextlib
import errno
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.ipc
import pyarrow.parquet as pq

from detray import schema
from detray.errors import DetrayError, UsageError
from detray.tables import Shard

MANIFEST = "manifest.json"
PARTIAL = "_partial"
MAX_PART_ROWS = 4_000_000
"""Rows a part holds at most: annotations take about 28 bytes each, so some 110 MiB."""
ROW_GROUP_ROWS = 256 * 1024

Json = dict[str, Any]


@dataclass(frozen=True)
class ShardKey:
    """A range of images of one split: ``low <= image_id < high``, None for no bound.

    ``index`` numbers the ingest parts across splits: ``images/part-<index>.parquet`` holds the
    images and ``annotations/part-<index>.parquet`` their annotations.
    """

    index: int
    split: str
    low: int | None
    high: int | None
    n_images: int = 0
    n_annotations: int = 0

    @property
    def name(self) -> str:
        return f"{self.index:05d}"


def absolute(place: str) -> str:
    """A path or URI that names the same place from any working directory, as workers have their own."""
    return place if "://" in place else str(Path(place).absolute())


@contextlib.contextmanager
def _readable_errors(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DetrayError(f"{place}: the disk is full; free some space and run the same command again") from None
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise DetrayError(f"{place}: may not be written; choose another --output") from None
        if isinstance(error, FileNotFoundError | NotADirectoryError | FileExistsError):
            raise DetrayError(f"{place}: {error.strerror or error}; choose another --output") from None
        raise DetrayError(f"{place}: {str(error).splitlines()[0]}") from None


@dataclass(frozen=True)
class Store:
    """An output folder at ``root``, a local path or a URI (file, s3, gs)."""

    root: str

    @cached_property
    def _opened(self) -> tuple[pafs.FileSystem, str]:
        try:
            if "://" in self.root:
                return pafs.FileSystem.from_uri(self.root)
            return pafs.LocalFileSystem(), str(Path(self.root).absolute())
        except (pa.ArrowInvalid, OSError) as error:
            raise UsageError(f"output {self.root}: cannot be opened ({str(error).splitlines()[0]})") from None

    def __getstate__(self) -> dict[str, str]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, str]) -> None:
        object.__setattr__(self, "root", state["root"])

    @property
    def fs(self) -> pafs.FileSystem:
        return self._opened[0]

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, pafs.LocalFileSystem)

    def path(self, *parts: str) -> str:
        """The path, on `fs`, of something below the root."""
        return "/".join((self._opened[1].rstrip("/"), *parts))

    # files

    def write_bytes(self, data: bytes, *parts: str) -> None:
        """Write a file whole or not at all."""
        self.write_chunks([data], *parts)

    def write_chunks(self, chunks: Iterable[bytes], *parts: str) -> int:
        """Write a file whole or not at all, piece by piece, and return its size in bytes."""
        with self.writing(*parts) as stream:
            for chunk in chunks:
                stream.write(chunk)
            size: int = stream.tell()
        return size

    @contextlib.contextmanager
    def writing(self, *parts: str) -> Iterator[pa.NativeFile]:
        """A file to write that appears whole or not at all."""
        target = self.path(*parts)
        place = f"{target}.{uuid.uuid4().hex}.tmp" if self.is_local else target
        with _readable_errors(target):
            self.fs.create_dir(target.rpartition("/")[0], recursive=True)
            try:
                with self.fs.open_output_stream(place) as stream:
                    yield stream
                if place != target:
                    self.fs.move(place, target)
            except BaseException:
                if place != target:
                    with contextlib.suppress(OSError):
                        self.fs.delete_file(place)
                raise

    def read_chunks(self, *parts: str, chunk_bytes: int = 4 << 20) -> Iterator[bytes]:
        """A file's content, piece by piece."""
        with _readable_errors(self.path(*parts)), self.fs.open_input_stream(self.path(*parts)) as stream:
            while chunk := stream.read(chunk_bytes):
                yield chunk

    def read_bytes(self, *parts: str) -> bytes | None:
        """A file's content; None if it is not there."""
        try:
            with self.fs.open_input_stream(self.path(*parts)) as stream:
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DetrayError(f"{self.path(*parts)}: {str(error).splitlines()[0]}") from None

    def delete(self, *parts: str) -> None:
        """Delete a file or folder, if it is there."""
        target = self.path(*parts)
        kind = self.fs.get_file_info(target).type
        with _readable_errors(target):
            if kind == pafs.FileType.Directory:
                self.fs.delete_dir(target)
            elif kind == pafs.FileType.File:
                self.fs.delete_file(target)

    # complete stages

    def manifest(self, stage: str) -> Json | None:
        """The manifest of a complete stage; None if the stage is not complete."""
        data = self.read_bytes(stage, MANIFEST)
        if data is None:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise DetrayError(
                f"{self.path(stage, MANIFEST)}: not readable as JSON; run the stage again with --force"
            ) from None

    def files(self, table: str, stage: str) -> list[Json]:
        """The parts of a table of a complete stage: ``file`` (below the root), ``rows``, ``bytes`` and,
        where all rows are of one split, ``split``, ``low`` and ``high`` of image_id."""
        manifest = self.manifest(stage)
        if manifest is None:
            raise DetrayError(f"{self.path(stage)}: stage {stage} is not complete; run 'detray {stage}' first")
        return manifest["tables"].get(table, {"files": []})["files"]

    def read(
        self, table: str, stage: str | None = None, columns: Sequence[str] | None = None, filters: Any = None
    ) -> pa.Table:
        """A whole table of a complete stage: only for tables that are small whatever the data set."""
        return self.read_files(self.files(table, stage or schema.TABLES[table].stage), table, columns, filters)

    def read_files(
        self, files: Sequence[Json], table: str, columns: Sequence[str] | None = None, filters: Any = None
    ) -> pa.Table:
        """The rows of some parts, in their order, restricted to ``columns`` and ``filters`` (pyarrow's).

        Parts that are known to be empty are not opened.
        """
        names = list(columns) if columns is not None else schema.schema(table).names
        target = pa.schema([schema.schema(table).field(name) for name in names])
        found = [
            pq.read_table(
                self.path(part["file"]), columns=names, filters=filters, filesystem=self.fs, partitioning=None
            )
            for part in files
            if part.get("rows") != 0
        ]
        return pa.concat_tables(found).cast(target).combine_chunks() if found else target.empty_table()

    def shards(self, splits: Sequence[str] | None = None) -> list[ShardKey]:
        """The image ranges that ingest cut the data set into, of ``splits`` or of all."""
        manifest = self.manifest("ingest")
        if manifest is None:
            raise DetrayError(f"{self.path('ingest')}: stage ingest is not complete; run 'detray ingest' first")
        keys = [ShardKey(**entry) for entry in manifest["facts"]["shards"]]
        return [key for key in keys if splits is None or key.split in splits]

    def read_shard(
        self, key: ShardKey, *, predictions: bool = False, columns: Mapping[str, Sequence[str]] | None = None
    ) -> Shard:
        """The tables of one range of images; ``columns`` may restrict each table's."""
        wanted = columns or {}
        part = {name: [{"file": f"ingest/{name}/part-{key.name}.parquet"}] for name in ("images", "annotations")}
        return Shard(
            split=key.split,
            images=self.read_files(part["images"], "images", wanted.get("images")),
            annotations=self.read_files(part["annotations"], "annotations", wanted.get("annotations")),
            categories=self.read("categories", filters=[("split", "=", key.split)]),
            predictions=self.read_range("predictions", key, wanted.get("predictions"))
            if predictions
            else schema.empty("predictions"),
        )

    def read_range(self, table: str, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of ``table`` about the images of ``key``; parts that cannot hold any are not opened."""
        files = [part for part in self.files(table, schema.TABLES[table].stage) if _may_hold(part, key)]
        filters: list[tuple[str, str, Any]] = [("split", "=", key.split)]
        if key.low is not None:
            filters.append(("image_id", ">=", key.low))
        if key.high is not None:
            filters.append(("image_id", "<", key.high))
        return self.read_files(files, table, columns, filters)

    def stage(self, name: str) -> "Stage":
        return Stage(self, name)


def _may_hold(part: Json, key: ShardKey) -> bool:
    if "split" not in part:
        return True
    return (
        part["split"] == key.split
        and (key.low is None or part["high"] >= key.low)
        and (key.high is None or part["low"] < key.high)
    )


@dataclass(frozen=True)
class Stage:
    """A stage while it is written. Small and picklable: tasks get a copy and write their own shards."""

    store: Store
    name: str

    def begin(self, fingerprint: str) -> dict[str, Json]:
        """Open the stage and return the receipts of shards that are already whole, by shard.

        What an earlier run with another fingerprint left in ``_partial`` is deleted.
        """
        found = self.store.read_bytes(self.name, PARTIAL, "fingerprint")
        if found is None or found.decode() != fingerprint:
            self.store.delete(self.name, PARTIAL)
            self.store.write_bytes(fingerprint.encode(), self.name, PARTIAL, "fingerprint")
            return {}
        return self.receipts()

    def receipts(self) -> dict[str, Json]:
        """The receipts of the shards that are whole, by shard."""
        folder = pafs.FileSelector(self.store.path(self.name, PARTIAL, "receipts"), allow_not_found=True)
        names = [info.base_name for info in self.store.fs.get_file_info(folder) if info.path.endswith(".json")]
        found = (self.receipt(name.removesuffix(".json")) for name in names)
        return {receipt["shard"]: receipt for receipt in found if receipt is not None}

    def receipt(self, shard: str) -> Json | None:
        """The receipt of a shard; None if it is not whole."""
        data = self.store.read_bytes(self.name, PARTIAL, "receipts", f"{shard}.json")
        return json.loads(data) if data else None

    def write(
        self, shard: str, tables: Mapping[str, pa.Table], facts: Json | None = None, *, undivided: bool = False
    ) -> Json:
        """Write one shard whole: its tables (each conformed), then its receipt, which is returned.

        ``shard`` orders the parts. ``facts`` is anything small, as JSON, for the driver. A table of more
        than `MAX_PART_ROWS` is several parts, unless it is to stay ``undivided``.
        """
        written: dict[str, list[Json]] = {}
        for table, rows in tables.items():
            rows = schema.conform(rows, table)
            if rows.num_rows == 0:
                continue
            most = rows.num_rows if undivided else MAX_PART_ROWS
            written[table] = [
                self._write_part(table, f"{shard}-{number:03d}", rows.slice(start, most))
                for number, start in enumerate(range(0, rows.num_rows, most))
            ]
        receipt = {"shard": shard, "tables": written, "facts": facts or {}}
        self.store.write_bytes(json.dumps(receipt).encode(), self.name, PARTIAL, "receipts", f"{shard}.json")
        return receipt

    def write_scratch(self, name: str, rows: pa.Table | Sequence[pa.Table], *, batch_rows: int | None = None) -> None:
        """Keep a table for a later step of this stage, in ``_partial/scratch``; the commit deletes it.

        With ``batch_rows``, or of several tables of one schema, each batch can be read alone.
        """
        columns = rows.schema if isinstance(rows, pa.Table) else rows[0].schema
        # on a local disk scratch is mapped, which compression would prevent
        options = pa.ipc.IpcWriteOptions(compression=None if self.store.is_local else "lz4")
        with (
            self.store.writing(self.name, PARTIAL, "scratch", f"{name}.arrow") as stream,
            pa.ipc.new_file(stream, columns, options=options) as writer,
        ):
            if isinstance(rows, pa.Table):
                writer.write_table(rows if batch_rows is None else rows.combine_chunks(), max_chunksize=batch_rows)
            else:
                for part in rows:
                    arrays = [column.combine_chunks() for column in part.columns]
                    writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=columns))

    def read_scratch(
        self, name: str, columns: Sequence[str] | None = None, *, batches: Sequence[int] | None = None
    ) -> pa.Table:
        """What `write_scratch` kept under ``name``, or some of its columns; of a mapped file only the
        pages that are used are read.

        ``batches`` reads only those by number, and maps nothing: mapped pages count as memory of every
        process that touches them.

        Raises:
            DetrayError: nothing is kept under that name.
        """
        path = self.store.path(self.name, PARTIAL, "scratch", f"{name}.arrow")
        try:
            is_mapped = self.store.is_local and batches is None
            source = pa.memory_map(path) if is_mapped else self.store.fs.open_input_file(path)
        except FileNotFoundError:
            raise DetrayError(f"{path}: scratch {name} is gone; run the stage again with --force") from None
        with contextlib.closing(source) if batches is not None else contextlib.nullcontext():
            reader = pa.ipc.open_file(source)
            if batches is None:
                rows = reader.read_all()
            else:
                rows = pa.Table.from_batches([reader.get_batch(number) for number in batches], reader.schema)
        return rows if columns is None else rows.select(list(columns))

    def _write_part(self, table: str, name: str, rows: pa.Table) -> Json:
        sink = pa.BufferOutputStream()
        # numbers hardly repeat: a dictionary of them costs time and space before it is given up; ids mostly rise
        words = [field.name for field in rows.schema if pa.types.is_string(field.type)]
        ids = {field.name: "DELTA_BINARY_PACKED" for field in rows.schema if pa.types.is_int64(field.type)}
        pq.write_table(
            rows,
            sink,
            compression="zstd",
            row_group_size=ROW_GROUP_ROWS,
            use_dictionary=words,
            column_encoding=ids,
        )
        data = sink.getvalue()
        file = f"{name}.parquet"
        self.store.write_bytes(data, self.name, PARTIAL, table, file)
        return {"file": file, "rows": rows.num_rows, "bytes": len(data)} | _image_range(rows)

    def commit(
        self, receipts: Sequence[Json], manifest: Json, config: str, tables: Sequence[str], *, keep_names: bool = False
    ) -> Json:
        """Make the stage visible: move every part, write ``config.yaml``, then the manifest.

        Args:
            receipts: of all shards; parts are numbered in the order of their shards.
            manifest: what it holds beside the tables.
            config: the resolved configuration as YAML.
            tables: each gets at least one part, so that readers find its columns.
            keep_names: number parts by their shard's name (a number), so that parts of two tables
                belong together by number; every shard then gets a part in each of ``tables`` with an image_id.
        """
        receipts = sorted(receipts, key=lambda receipt: receipt["shard"])
        names = tuple(dict.fromkeys((*tables, *(name for receipt in receipts for name in receipt["tables"]))))
        # a commit that was cut off goes on: what it moved stays, what the run before left is already gone
        if self.store.read_bytes(self.name, PARTIAL, "committing") is None:
            for leftover in (MANIFEST, "config.yaml", "quarantine", *names):
                self.store.delete(self.name, leftover)
            self.store.write_bytes(b"", self.name, PARTIAL, "committing")
        listed: dict[str, Json] = {}
        for table in names:
            parts: list[Json] = []
            is_by_image = table in tables and "image_id" in schema.schema(table).names
            for receipt in receipts:
                found = receipt["tables"].get(table, [])
                if keep_names and is_by_image and not found:
                    found = [self._write_part(table, f"{receipt['shard']}-000", schema.empty(table))]
                if keep_names and len(found) > 1:
                    raise DetrayError(f"stage {self.name}: shard {receipt['shard']} has {len(found)} parts of {table}")
                for part in found:
                    number = int(receipt["shard"]) if keep_names else len(parts)
                    parts.append(self._move_part(table, part, number))
            if not parts:
                parts = [self._move_part(table, self._write_part(table, "empty", schema.empty(table)), 0)]
            listed[table] = {"rows": sum(part["rows"] for part in parts), "files": parts}
        self.store.write_bytes(config.encode(), self.name, "config.yaml")
        complete = {"stage": self.name} | manifest | {"tables": listed}
        self.store.write_bytes(json.dumps(complete, indent=1).encode(), self.name, MANIFEST)
        self.store.delete(self.name, PARTIAL)
        return complete

    def _move_part(self, table: str, part: Json, number: int) -> Json:
        source = self.store.path(self.name, PARTIAL, table, part["file"])
        file = f"{self.name}/{table}/part-{number:05d}.parquet"
        target = self.store.path(file)
        with _readable_errors(target):
            self.store.fs.create_dir(target.rpartition("/")[0], recursive=True)
            there = self.store.fs.get_file_info(target).type == pafs.FileType.File
            if there and self.store.fs.get_file_info(source).type == pafs.FileType.NotFound:
                pass  # moved by the commit that was cut off
            elif self.store.is_local:
                self.store.fs.move(source, target)
            else:
                self.store.fs.copy_file(source, target)
        return part | {"file": file}


def _image_range(rows: pa.Table) -> Json:
    """Split and range of image_id of a part whose rows are all of one split and have an image."""
    if "split" not in rows.column_names or "image_id" not in rows.column_names:
        return {}
    splits = pc.unique(rows["split"])
    if len(splits) != 1 or not splits[0].is_valid or rows["image_id"].null_count:
        return {}
    ends = pc.min_max(rows["image_id"])
    return {"split": splits[0].as_py(), "low": ends["min"].as_py(), "high": ends["max"].as_py()}

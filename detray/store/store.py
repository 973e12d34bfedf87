"""The output folder: files that appear whole, and the tables of complete stages.

Any place that pyarrow.fs opens will do, object stores too. Readers go by the manifest, which is
written last: a stage is complete once that stands.
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
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from detray import schema
from detray.errors import DetrayError, HostError, UsageError
from detray.store.shards import ShardKey
from detray.tables import Shard

MANIFEST = "manifest.json"

Json = dict[str, Any]


@contextlib.contextmanager
def readable_errors(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise HostError(f"{place}: the disk is full; free some space and run the same command again") from None
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise HostError(f"{place}: may not be written; choose another --output") from None
        if isinstance(error, FileNotFoundError | NotADirectoryError | FileExistsError):
            raise HostError(f"{place}: {error.strerror or error}; choose another --output") from None
        raise HostError(f"{place}: {str(error).splitlines()[0]}") from None


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
        with readable_errors(target):
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
        with readable_errors(target):
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
        files = [part for part in self.files(table, schema.TABLES[table].stage) if key.may_hold(part)]
        return self.read_files(files, table, columns, key.filters())

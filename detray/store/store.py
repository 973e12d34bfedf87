"""The output folder: files that appear whole, and the tables of complete stages.

Any place that pyarrow or fsspec opens will do, object stores too. Readers go by the manifest, which is
written last: a stage is complete once that stands. Of what lies in an object store each machine keeps copies.
"""

import contextlib
import errno
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from detray import cache, remote, schema
from detray.errors import DamagedError, DetrayError, HostError, UsageError, reason
from detray.store import manifest as manifests
from detray.store.integrity import TAIL, Stored, digest, stored
from detray.store.manifest import MANIFEST, Json
from detray.store.shards import ShardKey
from detray.tables import Shard

Content = TypeVar("Content")

CHECKS = 16
"""Files whose ends are read at once."""
COPIED = 64 << 20
"""Bytes up to which an object is copied to the machine that reads it; of larger ones ranges are read."""
_SEEN = ("_known", "_top")
"""What a copy of a `Store` in another process need not ask for again."""


@contextlib.contextmanager
def readable_errors(place: str) -> Iterator[None]:
    """Turn an OSError about ``place`` into a sentence that says what to do."""
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


def _object(size: int, content: bytes | memoryview) -> Stored:
    """Of an object, of which all is given, or the end where it is never copied: copies are known by their content."""
    return Stored(size, digest(content)) if size <= COPIED else stored(size, content)


@dataclass(frozen=True)
class Store:
    """An output folder at ``root``, a local path or a URI (file, s3, gs)."""

    root: str

    @cached_property
    def _opened(self) -> tuple[pafs.FileSystem, str]:
        try:
            if "://" in self.root:
                return remote.opened(self.root)
            return pafs.LocalFileSystem(), str(Path(self.root).absolute())
        except (ValueError, OSError) as error:
            raise UsageError(f"output {self.root}: cannot be opened ({str(error).splitlines()[0]})") from None

    def __getstate__(self) -> dict[str, Any]:
        # tasks of an object store need not ask for the manifests again that the driver has read
        return {"root": self.root} | (
            {} if self.is_local else {name: self.__dict__[name] for name in _SEEN if name in self.__dict__}
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @cached_property
    def _known(self) -> dict[str, bytes | None]:
        """Manifests as they were when this process saw them last; None where there is none."""
        return {}

    @cached_property
    def _top(self) -> frozenset[str]:
        """What lies in the root of an object store: one request, instead of one for each stage that is not there."""
        return frozenset(self.names())

    @property
    def fs(self) -> pafs.FileSystem:
        return self._opened[0]

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, pafs.LocalFileSystem)

    def path(self, *parts: str) -> str:
        """The path, on `fs`, of something below the root.

        Raises:
            DamagedError: it leads out of the root, as only names do that others wrote there.
        """
        below = "/".join(parts)
        if "\0" in below or ".." in below.split("/"):
            raise DamagedError(f"{self._opened[1]}: {below!r} leads out of the folder; run the stage again")
        return "/".join((self._opened[1].rstrip("/"), *parts))

    # files

    def write_bytes(self, data: bytes, *parts: str) -> None:
        """Write a file whole or not at all."""
        self._write(lambda stream: stream.write(data), self.path(*parts))

    def write(self, fill: Callable[[Any], object], *parts: str) -> Stored:
        """Write a file whole or not at all: ``fill`` is given the file. What tells whether it is whole.

        Of an object a copy is kept on this machine, as what is written is mostly read again.
        """
        file = "/".join(parts)
        found = self._write(fill, self.path(*parts), file) or self.stored(file)
        if found is None:
            raise self.damaged(file, "gone")
        return found

    def _write(self, fill: Callable[[Any], object], target: str, copied: str | None = None) -> Stored | None:
        """As `write`; of objects alone what tells that they are whole is known without reading."""
        with readable_errors(target):
            self.fs.create_dir(target.rpartition("/")[0], recursive=True)
            if not self.is_local:
                with remote.Upload(self.fs, target) as upload:
                    fill(upload)
                    size = upload.tell()
                    content = upload.end(size if size <= COPIED else TAIL)
                    whole = _object(size, content)
                    if copied is not None and size <= COPIED:
                        cache.keep(self._key(copied, whole), content)
                return whole
            place = f"{target}.{uuid.uuid4().hex}.tmp"
            try:
                with self.fs.open_output_stream(place) as stream:
                    fill(stream)
                self.fs.move(place, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    self.fs.delete_file(place)
                raise
        return None

    def _key(self, file: str, whole: Stored) -> str:
        return f"{self.root}\n{file}\n{whole.bytes}\n{whole.digest}"

    def local(self, file: str, whole: Stored | None) -> str | None:
        """Where a file that is as it was written can be opened on this machine; None: only on `fs`.

        Of an object it is a copy, which is fetched where there is none and it is not larger than `COPIED`.

        Raises:
            DamagedError: it is not as it was written.
        """
        if self.is_local:
            return self.path(file)
        if whole is None or whole.bytes > COPIED:
            return None
        key = self._key(file, whole)
        place = cache.find(key)
        if place is None:
            with self.reading(file), self.fs.open_input_file(self.path(file)) as stream:
                content = stream.read_buffer()
            if whole not in (_object(content.size, memoryview(content)), stored(content.size, memoryview(content))):
                raise self.damaged(file, "not as written")
            place = cache.keep(key, memoryview(content))
        return None if place is None else str(place)

    def read_here(self, file: str, whole: Stored | None, read: Callable[[str | None], Content]) -> Content:
        """What ``read`` makes of a file, given where it can be opened on this machine; None: on `fs`.

        A copy that is gone, as another process made room, or that its disk has damaged counts for nothing.

        Raises:
            DamagedError: it is not as it was written.
        """
        place = self.local(file, whole)
        if place is not None and not self.is_local:
            try:
                return read(place)
            except (OSError, pa.ArrowException):
                Path(place).unlink(missing_ok=True)
                place = None
        with self.reading(file):
            return read(place)

    def copied(self, source: str, target: str, whole: Stored) -> None:
        """Say that an object was copied, so that what this machine has of the one is found as the other."""
        cache.link(self._key(source, whole), self._key(target, whole))

    def read_bytes(self, *parts: str) -> bytes | None:
        """A file's content; None if it is not there.

        Raises:
            DamagedError: something else than a file is there.
        """
        return self._content(self.path(*parts), lambda file: file.read())

    def stored(self, *parts: str) -> Stored | None:
        """Size and digest of a file, on a disk only its end is read; None if it is not there."""

        def end(file: pa.NativeFile) -> Stored:
            size = file.size()
            start = 0 if not self.is_local and size <= COPIED else max(size - TAIL, 0)
            file.seek(start)
            content = file.read(size - start)
            return stored(size, content) if self.is_local else _object(size, content)

        with contextlib.suppress(DamagedError):
            return self._content(self.path(*parts), end)
        return None

    def _content(self, path: str, read: Callable[[pa.NativeFile], Content]) -> Content | None:
        try:
            if self.is_local and not stat.S_ISREG(Path(path).stat().st_mode):  # a pipe would be waited for
                raise DamagedError(f"{path}: no file, but something else; delete it")
            with self.fs.open_input_file(path) as file:
                return read(file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DetrayError(f"{path}: {str(error).splitlines()[0]}") from None

    def changed(self, files: Mapping[str, Stored]) -> dict[str, bool]:
        """Those of some files below the root that are not as they were written, and whether they are still there.

        Of objects only sizes are compared: a store answers for their content, which is checked when it is fetched.
        """
        if self.is_local or not files:
            with ThreadPoolExecutor(CHECKS) as pool:
                found = zip(files.items(), pool.map(self.stored, files), strict=True)
                return {path: now is not None for (path, then), now in found if now != then}
        sizes: dict[str, int] = {}
        for top in {path.partition("/")[0] for path in files}:
            sizes |= self._sizes(top)
        return {path: path in sizes for path, then in files.items() if sizes.get(path) != then.bytes}

    def _sizes(self, folder: str) -> dict[str, int]:
        """The files below a folder, by path below the root, and their sizes in bytes."""
        root = self.path()
        selector = pafs.FileSelector(self.path(folder), recursive=True, allow_not_found=True)
        with readable_errors(selector.base_dir):
            found = self.fs.get_file_info(selector)
        return {info.path.removeprefix(root).lstrip("/"): info.size for info in found if info.is_file}

    def names(self, *parts: str) -> list[str]:
        """What lies in a folder; nothing where there is none."""
        selector = pafs.FileSelector(self.path(*parts), allow_not_found=True)
        with readable_errors(selector.base_dir):
            return sorted(info.base_name for info in self.fs.get_file_info(selector))

    def delete_folder(self, *parts: str) -> None:
        """Delete a folder, if it is there; on an object store in fewer requests than `delete`."""
        target = self.path(*parts)
        with readable_errors(target), contextlib.suppress(FileNotFoundError):
            self.fs.delete_dir(target)

    def delete(self, *parts: str) -> None:
        """Delete a file or folder, if it is there."""
        target = self.path(*parts)
        # gone meanwhile: by a request that was answered with an error, and tried again
        with readable_errors(target), contextlib.suppress(FileNotFoundError):
            kind = self.fs.get_file_info(target).type
            if kind == pafs.FileType.Directory:
                self.fs.delete_dir(target)
            elif kind != pafs.FileType.NotFound:
                self.fs.delete_file(target)

    # complete stages

    def manifest(self, stage: str) -> Json | None:
        """The manifest of a complete stage (see `Manifest`); None if the stage is not complete.

        An object store is asked once, until `forget`: who writes there holds the lock.

        Raises:
            DamagedError: it is not as it was written.
        """
        try:
            if self.is_local:
                data = self.read_bytes(stage, MANIFEST)
            else:
                if stage not in self._known:
                    self._known[stage] = self.read_bytes(stage, MANIFEST) if stage in self._top else None
                data = self._known[stage]
            return None if data is None else manifests.decode(data, stage)
        except ValueError as error:
            raise self.damaged(f"{stage}/{MANIFEST}", f"damaged ({error})") from None

    def write_manifest(self, stage: str, manifest: Json) -> None:
        """Make a stage complete."""
        data = manifests.encode(manifest)
        self.write_bytes(data, stage, MANIFEST)
        if not self.is_local:
            self._known[stage] = data

    def forget(self, *stages: str) -> None:
        """Ask again for the manifests of some stages, or of all: another process may have written them."""
        self.__dict__.pop("_top", None)
        for stage in stages or tuple(self._known):
            self._known.pop(stage, None)

    def damaged(self, file: str, why: str) -> DamagedError:
        """The error that says that a file of a stage is not as it was written."""
        mend = f"run 'detray {file.partition('/')[0]} --output {self.root}' again"
        return DamagedError(f"{self.path(file)}: {why}; {mend}")

    def damage(self, stage: str, *, files: bool = True, pages: bool = False) -> str | None:
        """What is damaged in a complete stage, in a sentence; None if nothing is, or it is not complete.

        Args:
            stage: the stage.
            files: whether those of its files that are no tables count where they are still there.
            pages: read all parts, not only the ends of the files.
        """
        try:
            manifest = self.manifest(stage)
            parts = manifests.parts(manifest) if manifest else {}
            others = manifests.files(manifest) if manifest else {}
            found = self.changed(parts | others)
            changed = [path for path, is_there in found.items() if files or path in parts or not is_there]
            if changed:
                more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
                return f"{self.path(changed[0])}{more}: {'not as written' if found[changed[0]] else 'gone'}"
            for path in parts if pages else ():
                with self.reading(path), self.fs.open_input_file(self.path(path)) as file:
                    pq.read_table(file, page_checksum_verification=True)
        except DamagedError as error:
            return reason(error)
        return None

    @contextlib.contextmanager
    def reading(self, file: str) -> Iterator[None]:
        """Say which part is damaged, where one cannot be read in the block."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self.damaged(file, "gone") from None
        except (OSError, pa.ArrowException) as error:
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            if isinstance(error, OSError) and (error.errno or not self.is_local):  # not of the content
                raise DetrayError(f"{self.path(file)}: {line}") from None
            raise self.damaged(file, f"damaged ({line})") from None

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
        found = [self._read(part, target, filters) for part in files if part.get("rows") != 0]
        return pa.concat_tables(found).combine_chunks() if found else target.empty_table()

    def _read(self, part: Json, target: pa.Schema, filters: Any) -> pa.Table:
        file = part["file"]

        def read(place: str | None) -> pa.Table:
            path, filesystem = place or self.path(file), None if place else self.fs
            try:
                rows = pq.read_table(
                    path,
                    columns=target.names,
                    filters=filters,
                    filesystem=filesystem,
                    partitioning=None,
                    page_checksum_verification=True,
                )
                return rows.cast(target)
            except pa.ArrowInvalid:
                there = pq.read_schema(path, filesystem=filesystem).names
                lacking = [name for name in target.names if name not in there]
                if not lacking:
                    raise
                why = f"written by another version of detray (it has no column {lacking[0]!r})"
                raise self.damaged(file, why) from None

        return self.read_here(file, Stored(part["bytes"], part["digest"]) if "digest" in part else None, read)

    def shards(self, splits: Sequence[str] | None = None) -> list[ShardKey]:
        """The image ranges that ingest cut the data set into, of ``splits`` or of all."""
        manifest = self.manifest("ingest")
        if manifest is None:
            raise DetrayError(f"{self.path('ingest')}: stage ingest is not complete; run 'detray ingest' first")
        try:
            keys = msgspec.convert(manifest["facts"].get("shards"), list[ShardKey])
        except msgspec.ValidationError as error:
            raise self.damaged(f"ingest/{MANIFEST}", f"damaged (facts.shards: {error})") from None
        return [key for key in keys if splits is None or key.split in splits]

    def read_shard(
        self, key: ShardKey, *, predictions: bool = False, columns: Mapping[str, Sequence[str]] | None = None
    ) -> Shard:
        """The tables of one range of images; ``columns`` may restrict each table's."""
        wanted = columns or {}

        def own(table: str) -> pa.Table:
            file = f"ingest/{table}/part-{key.name}.parquet"
            part = [{"file": file}] if self.is_local else [p for p in self.files(table, "ingest") if p["file"] == file]
            return self.read_files(part, table, wanted.get(table))

        return Shard(
            split=key.split,
            images=own("images"),
            annotations=own("annotations"),
            categories=self.read("categories", filters=[("split", "=", key.split)]),
            predictions=self.read_range("predictions", key, wanted.get("predictions"))
            if predictions
            else schema.empty("predictions"),
        )

    def read_range(self, table: str, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of ``table`` about the images of ``key``; parts that cannot hold any are not opened."""
        files = [part for part in self.files(table, schema.TABLES[table].stage) if key.may_hold(part)]
        return self.read_files(files, table, columns, key.filters())

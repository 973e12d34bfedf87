"""Files that a URI names: what pyarrow opens (s3, gs, file, ...), else fsspec; each request is tried again.

Object stores answer 503 to a share of requests where load comes suddenly; a client is to wait and ask again
(Amazon S3, "Best practices design patterns: optimizing performance"). pyarrow does not where the body of the error is
larger than the object that it reads. Waits double and are drawn at random (Brooker, "Exponential backoff and jitter").

On object stores there are no folders: none is made. Objects up to `WHOLE` are written and read in one piece.
"""

import errno
import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import IO, Any, TypeVar, cast

import pyarrow as pa
import pyarrow.fs as pafs

from detray.errors import UsageError

Value = TypeVar("Value")

ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.1, 10.0
"""Seconds; the waits between all attempts are 13 s on average, beside those of the client itself."""

WHOLE = 8 << 20
"""Bytes of an object up to which it is read in one piece. Of larger ones ranges are, and pyarrow's own retries work."""

OBJECT_STORES = frozenset(("s3", "gs", "gcs", "abfs", "abfss", "az", "memory"))
_CLIENTS = ("AWS_", "GOOGLE_", "AZURE_", "STORAGE_")
"""What the names of variables begin with by which clients find endpoints and keys."""
_FINAL = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError)
_ERRNOS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG))
_REFUSED = re.compile(
    r"ACCESS_DENIED|NO_SUCH_(BUCKET|KEY)|INVALID_(ACCESS_KEY|CLIENT_TOKEN)|SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN"
    r"|HTTP status (400|401|403|404)|PERMISSION_DENIED|UNAUTHENTICATED"
)
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)/?(.*?)(\?[A-Za-z_]+=.*)?", re.DOTALL)


def is_uri(place: str) -> bool:
    """Whether a place is no path on this machine, nor a URI of one (``file://``)."""
    return "://" in place and not place.startswith("file://")


def join(uri: str, name: str) -> str:
    """The URI of ``name`` below ``uri``; parameters stay at the end."""
    scheme, host, path, query = _parts(uri)
    return f"{scheme}://{host}/{path.rstrip('/')}{'/' if path.rstrip('/') else ''}{name}{query}"


def opened(uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a URI, which all URIs of a host share, and the path there. Names stand in it as they are.

    Raises:
        OSError: it cannot be opened.
        ValueError: nothing opens such URIs.
        UsageError: it states a key, which would stand in tables, manifests and messages.
    """
    if uri.startswith("file://"):
        return cast("tuple[pafs.FileSystem, str]", pafs.FileSystem.from_uri(uri))
    scheme, host, path, query = _parts(uri)
    user, _, place = host.rpartition("@")
    if ":" in user:
        raise UsageError(
            f"{scheme}://...@{place}/{path}: names with a key in them are written to tables and messages; give the key"
            " in the environment (AWS_ACCESS_KEY_ID and the like)"
        )
    clients = tuple(item for item in sorted(os.environ.items()) if item[0].startswith(_CLIENTS))
    fs, base = _filesystem(scheme, host, query, clients)
    return fs, f"{base.rstrip('/')}/{path}".rstrip("/") if base.strip("/") or not path else f"{base}{path}"


def _parts(uri: str) -> tuple[str, str, str, str]:
    found = _URI.fullmatch(uri)
    if found is None:
        raise ValueError(f"{uri} is no URI")
    return found[1].lower(), found[2], found[3], found[4] or ""


@lru_cache(maxsize=64)
def _filesystem(
    scheme: str, host: str, query: str, clients: tuple[tuple[str, str], ...]
) -> tuple[pafs.FileSystem, str]:
    """A client, which reads its endpoint and its keys when it is made: others in ``clients`` need another one."""
    if scheme == "s3" and "allow_delayed_open" not in query:
        query += f"{'&' if query else '?'}allow_delayed_open=true"  # else even an empty object takes three requests
    root = f"{scheme}://{host}/{query}" if scheme != "s3" else f"{scheme}://{host}{query}"
    try:
        fs, base = pafs.FileSystem.from_uri(root)
    except pa.ArrowInvalid:
        import fsspec

        try:
            inner, base = fsspec.core.url_to_fs(root)
        except ImportError as error:
            raise ValueError(str(error)) from None
        fs = pafs.PyFileSystem(pafs.FSSpecHandler(inner))
    return pafs.PyFileSystem(Patient(fs, scheme in OBJECT_STORES)), base


def attempt(request: Callable[[], Value]) -> Value:
    """What ``request`` returns, which is tried again where that may help.

    Raises:
        OSError: its last, or one that no repetition would mend.
    """
    wait = FIRST_WAIT
    for left in reversed(range(ATTEMPTS)):
        try:
            return request()
        except _FINAL:
            raise
        except Exception as error:  # fsspec's clients raise classes of their own
            line = next(iter(str(error).splitlines()), type(error).__name__)
            if isinstance(error, OSError) and (error.errno in _ERRNOS or _REFUSED.search(line)):
                raise
            if not left:
                raise OSError(f"{line} (tried {ATTEMPTS} times)") from error
        time.sleep(random.uniform(0, wait))  # noqa: S311 - no secret
        wait = min(2 * wait, LONGEST_WAIT)
    raise AssertionError


def read_range(uri: str, start: int, length: int) -> bytes:
    """Some bytes of a file, which may be large.

    Raises:
        OSError: they cannot be read.
    """
    fs, place = opened(uri)

    def read() -> bytes:
        with fs.handler.inner.open_input_file(place) as stream:
            stream.seek(start)
            return bytes(stream.read(length))

    return attempt(read)


class Patient(pafs.FileSystemHandler):
    """Another file system, each of whose requests is tried again; ``flat``: it has no folders."""

    def __init__(self, fs: pafs.FileSystem, flat: bool) -> None:
        self.inner = fs
        self._flat = flat

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Patient) and bool(self.inner == other.inner)

    __hash__ = None  # type: ignore[assignment]  # nor have pyarrow's

    def __reduce__(self) -> Any:
        return Patient, (self.inner, self._flat)

    def get_type_name(self) -> str:
        return str(self.inner.type_name)

    def normalize_path(self, path: str) -> str:
        return str(self.inner.normalize_path(path))

    def get_file_info(self, paths: Sequence[str]) -> list[pafs.FileInfo]:
        return attempt(lambda: self.inner.get_file_info(list(paths)))

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        return attempt(lambda: self.inner.get_file_info(selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        if not self._flat:
            attempt(lambda: self.inner.create_dir(path, recursive=recursive))

    def delete_dir(self, path: str) -> None:
        attempt(lambda: self.inner.delete_dir(path))

    def delete_dir_contents(self, path: str, missing_dir_ok: bool) -> None:
        attempt(lambda: self.inner.delete_dir_contents(path, missing_dir_ok=missing_dir_ok))

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError("a whole store is never emptied")

    def delete_file(self, path: str) -> None:
        attempt(lambda: self.inner.delete_file(path))

    def move(self, source: str, target: str) -> None:
        attempt(lambda: self.inner.move(source, target))

    def copy_file(self, source: str, target: str) -> None:
        attempt(lambda: self.inner.copy_file(source, target))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        return attempt(lambda: self._read(path))

    def _read(self, path: str) -> pa.NativeFile:
        file = self.inner.open_input_file(path)
        if file.size() > WHOLE:
            return file
        with file:
            return pa.BufferReader(file.read_buffer())

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        return pa.PythonFile(Upload(self.inner, path), "w")

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        raise NotImplementedError("objects are not added to")


class Upload:
    """A file that appears somewhere when it is closed, and is kept here until then, so that sending can be repeated.

    A context manager; where its block fails nothing is sent.
    """

    def __init__(self, fs: pafs.FileSystem, path: str) -> None:
        patient = isinstance(fs, pafs.PyFileSystem) and isinstance(fs.handler, Patient)
        self._fs, self._path = fs.handler.inner if patient else fs, path  # else it would be tried 8 x 8 times
        self._kept: IO[bytes] = tempfile.SpooledTemporaryFile(WHOLE)  # noqa: SIM115 - closed with this
        self.closed = False

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            self.close()
        self.closed = True
        self._kept.close()

    def write(self, data: bytes) -> int:
        return self._kept.write(data)

    def tell(self) -> int:
        return self._kept.tell()

    def flush(self) -> None:
        """Nothing is there before the end."""

    def writable(self) -> bool:
        return True

    def end(self, most: int) -> bytes:
        """The last bytes that were written, of a file that is not closed."""
        size = self._kept.tell()
        self._kept.seek(max(size - most, 0))
        return self._kept.read()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            with self._kept:
                attempt(self._send)

    def _send(self) -> None:
        self._kept.seek(0)
        with self._fs.open_output_stream(self._path) as stream:
            while piece := self._kept.read(WHOLE):
                stream.write(piece)

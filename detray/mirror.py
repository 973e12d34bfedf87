"""Data that a URI names as paths on this machine: a tree of stand-ins, each fetched when it is opened first.

A folder of an object store is listed once, and its files stand below `ROOT` in the cache (`detray.cache`) as empty
files until `detray.files.open_file` wants their bytes. The path says of which version of the data a stand-in is: on
another machine, or after the data have changed, nothing is taken for what it is not. What is written for people and for
later stages names the URI: see `stated`.
"""

import contextlib
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from detray import cache, remote
from detray.errors import UsageError

ROOT = cache.STAND_INS
PIECE = 8 << 20
KEPT = 64 << 20
"""Bytes of pictures and models up to which copies are kept."""


def here(uri: str, *, listed: bool = True) -> str:
    """The path on this machine of what a URI names; a path is given back as it is.

    Of a folder all is listed, unless not ``listed``: then it is known only as a folder.

    Raises:
        UsageError: there is nothing, or nothing opens such URIs.
    """
    return _here(uri.rstrip("/"), listed) if remote.is_uri(uri) else uri


def here_beside(uri: str) -> str:
    """As `here`; of a YAML file with all of its folder, as YOLO's data files name what lies beside them."""
    folder, _, name = uri.rpartition("/")
    if not remote.is_uri(uri) or not name.endswith((".yaml", ".yml")):
        return here(uri)
    here(uri)  # which must be there
    return f"{here(folder)}/{name}"


@dataclass(frozen=True)
class Mirrored:
    """What stands for a URI: the folder of its version, and whether all that lies below it is listed."""

    uri: str
    version: str
    listed: bool


_known: dict[str, Mirrored] = {}


def known() -> tuple[Mirrored, ...]:
    """All that this process has looked up, for `bring` on other machines."""
    return tuple(_known.values())


def bring(mirrored: Iterable[Mirrored]) -> None:
    """Make on this machine what another has looked up."""
    for one in mirrored:
        if not Path(one.version).is_dir():
            _make(one, _listing(one.uri, listed=one.listed))


@lru_cache(maxsize=1024)
def _here(uri: str, listed: bool) -> str:
    if "?" in uri:
        raise UsageError(f"{uri}: data are named without parameters; set AWS_ENDPOINT_URL and the like instead")
    found = _listing(uri, listed=listed)
    digest = hashlib.blake2b(f"{uri}\n{listed}\n{found}".encode(), digest_size=8).hexdigest()
    one = Mirrored(uri, str(cache.folder() / ROOT / digest), listed)
    if not Path(one.version).is_dir():
        _make(one, found)
    _known[one.version] = one
    return f"{one.version}/{uri.replace('://', '/', 1)}"


@dataclass(frozen=True)
class _Listing:
    """Names behind the URI, sizes in bytes and times in ns of the files below; of a file its own, with no name."""

    is_file: bool
    files: tuple[tuple[str, int, int], ...]


def _listing(uri: str, *, listed: bool) -> _Listing:
    try:
        fs, place = remote.opened(uri)
        info = fs.get_file_info(place)
        below: list[pafs.FileInfo] = [info]
        if not info.is_file:
            below = (
                fs.get_file_info(pafs.FileSelector(place, recursive=True))
                if listed and info.type == pafs.FileType.Directory
                else []
            )
    except (OSError, ValueError) as error:
        raise UsageError(f"{uri}: cannot be opened ({str(error).splitlines()[0]})") from None
    if info.type == pafs.FileType.NotFound:
        raise UsageError(f"{uri}: no such file or folder; check the path")
    named = ((one.path.removeprefix(place), one) for one in below if one.is_file)
    files = sorted((name, one.size or 0, one.mtime_ns or 0) for name, one in named if not _leads_out(name))
    return _Listing(info.is_file, tuple(files))


def _leads_out(name: str) -> bool:
    """Whether no path on this machine stands for an object, as its name has dots for folders, which a store allows."""
    return not {".", ".."}.isdisjoint(name.split("/"))


def _make(one: Mirrored, found: _Listing) -> None:
    """Stand-ins for all files of a listing, at once."""
    version = Path(one.version)
    made = version.with_name(f"{version.name}.{uuid.uuid4().hex}.tmp")
    top = f"{made}/{one.uri.replace('://', '/', 1)}"
    Path(top if not found.is_file else os.path.dirname(top)).mkdir(parents=True)  # noqa: PTH120 - text
    for parent in {os.path.dirname(name) for name, _, _ in found.files}:  # noqa: PTH120 - text
        Path(f"{top}{parent}" if not found.is_file else made).mkdir(parents=True, exist_ok=True)
    for name, _, _ in found.files:
        Path(f"{top}{name}").touch()
    try:
        made.rename(version)
    except OSError:  # another process was first
        shutil.rmtree(made, ignore_errors=True)


def stand_in() -> str:
    """What a path on this machine begins with that stands for a URI: a pattern of the URI's scheme and host, for RE2.

    No other folder that is called so counts, as in data that others made.
    """
    return rf"{re.escape(str(cache.folder()))}/{ROOT}/[0-9a-f]{{16}}/([a-z][a-z0-9+.-]*)/([^/\s'\"#]+)/"


def uri_of(path: str | Path) -> str | None:
    """The URI that a path on this machine stands for; None where it stands for none."""
    if ROOT not in str(path):
        return None
    found = re.fullmatch(f"{stand_in()}(.*)", str(path), re.DOTALL)
    return f"{found[1]}://{found[2]}/{found[3]}" if found else None


def stated(text: str) -> str:
    """A text in which paths that stand for URIs are these."""
    return re.sub(stand_in(), r"\1://\2/", text) if ROOT in text else text


def stated_column(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """As `stated`."""
    holds = pc.any(pc.match_substring(texts, ROOT))  # takes a quarter of what replacing does
    return pc.replace_substring_regex(texts, stand_in(), r"\1://\2/") if holds.as_py() else texts


def is_used() -> bool:
    """Whether anything stands for a URI on this machine."""
    return (cache.folder() / ROOT).is_dir()


def fetch(path: str | Path) -> bool:
    """Bring the content of a path that stands for a URI, where it is not here yet; whether it stands for one.

    Raises:
        OSError: it cannot be fetched; FileNotFoundError where there is no such file.
    """
    uri = uri_of(path)
    if uri is None:
        return False
    own = Path(path)
    with contextlib.suppress(OSError):
        if own.is_dir() or own.stat().st_size:
            return True
    fs, place = remote.opened(uri)
    own.parent.mkdir(parents=True, exist_ok=True)
    part = own.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with fs.open_input_file(place) as source, part.open("wb") as target:
            while piece := source.read(PIECE):
                target.write(piece)
        cache.make_room(part.stat().st_size)
        part.replace(own)
    finally:
        part.unlink(missing_ok=True)
    return True


def content(uri: str, most: int) -> bytes:
    """At most so many bytes of a file that a URI names; small ones are kept on this machine, version by version.

    Raises:
        OSError: it cannot be read.
        ValueError: nothing opens such URIs.
    """
    fs, place = remote.opened(uri)

    def read() -> bytes:
        with fs.handler.inner.open_input_file(place) as stream:
            version = {key.lower(): value for key, value in (stream.metadata() or {}).items()}.get(b"etag")
            if version is None or stream.size() > KEPT:
                return bytes(stream.read(most))
            return cache.read(f"{uri}\n{version!r}\n{stream.size()}", lambda: bytes(stream.read()))[:most]

    return remote.attempt(read)


def exists(path: str) -> bool:
    """Whether there is a file or folder; of an image folder in an object store by its list, one request a thousand."""
    if os.path.exists(path):  # noqa: PTH110 - half of pathlib's cost a name
        return True
    uri = uri_of(path)
    if uri is None:
        return False
    folder, _, name = uri.rpartition("/")
    return name in _names(folder)


@lru_cache(maxsize=256)
def _names(folder: str) -> frozenset[str]:
    fs, place = remote.opened(folder)
    found = fs.get_file_info(pafs.FileSelector(place, allow_not_found=True))
    return frozenset(one.base_name for one in found)

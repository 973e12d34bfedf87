"""Copies on this machine of what lies in object stores, shared by its processes, up to a bound.

They lie in ``detray-cache-<uid>`` below the folder that `DETRAY_CACHE` names (by default ``/tmp``) and take at most
`DETRAY_CACHE_GIB` (10) there, and never more than half of what is free on its disk: what was used longest ago goes. A
key says which content a copy is of, so none is ever stale. Where none can be kept work goes on without.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from detray.errors import UsageError

FOLDER, GIB = "DETRAY_CACHE", "DETRAY_CACHE_GIB"
STAND_INS = "detray-mirror"
"""The folder of `detray.mirror`."""
SWEEP = 32
"""After a part of so many of the bound was added by a process it looks at what all take together."""

ASKED = 30
"""Seconds until a process asks again how much of the disk is free."""

_lock = threading.Lock()
_added = 0


def folder() -> Path:
    """Where the copies lie; for this user alone."""
    # a folder of its own: all in it may be deleted
    return _made(f"{os.environ.get(FOLDER) or '/tmp'}/detray-cache-{os.getuid()}")  # noqa: S108 - its owner is checked


@lru_cache(maxsize=8)
def _made(place: str) -> Path:
    path = Path(place)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        raise PermissionError(f"{place} is another user's; set {FOLDER} to a folder of your own")
    return path


def bound() -> int:
    """Bytes that all copies may take.

    Raises:
        UsageError: what `GIB` states is no number.
    """
    return _bound(folder(), os.environ.get(GIB) or "10", int(time.monotonic() / ASKED))


@lru_cache(maxsize=8)
def _bound(place: Path, gib: str, _: int) -> int:
    try:
        most = int(float(gib) * (1 << 30))
    except (ValueError, OverflowError):
        raise UsageError(f"{GIB} is {gib!r}, and a number of GiB is expected") from None
    return min(most, shutil.disk_usage(place).free // 2)


def find(key: str) -> Path | None:
    """The copy of a key; it may be gone at any moment, so open it and see."""
    try:
        place = _place(key)
        os.utime(place)
    except OSError:
        return None
    return place


def keep(key: str, content: bytes | memoryview) -> Path | None:
    """Keep a copy; None where there is no room for it, or it cannot be written: the cache is never needed."""
    with contextlib.suppress(OSError), writing(key) as path:
        path.write_bytes(content)
    return find(key)


@contextlib.contextmanager
def writing(key: str) -> Iterator[Path]:
    """A path to write a copy to, which is kept under its key at the end of the block."""
    place = _place(key)
    place.parent.mkdir(exist_ok=True)
    path = place.with_name(f"{place.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield path
        size = path.stat().st_size
        if size <= bound() // 4:
            make_room(size)
            path.replace(place)
    finally:
        path.unlink(missing_ok=True)


def link(key: str, other: str) -> None:
    """Find the copy of a key, where there is one, under another key too."""
    with contextlib.suppress(OSError):
        place = _place(other)
        place.parent.mkdir(exist_ok=True)
        place.hardlink_to(_place(key))


def read(key: str, fetch: Callable[[], bytes]) -> bytes:
    """The content of a key, which ``fetch`` brings where there is no copy."""
    place = find(key)
    with contextlib.suppress(OSError):
        if place is not None:
            return place.read_bytes()
    content = fetch()
    keep(key, content)
    return content


def _place(key: str) -> Path:
    name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return folder() / name[:2] / name


def make_room(size: int) -> None:
    """Where much was added, delete what was used longest ago until a quarter of the bound is free."""
    global _added
    with _lock:
        _added += size
        if _added * SWEEP < bound():
            return
        _added = 0
    found = []
    for path in folder().rglob("*"):
        with contextlib.suppress(OSError):
            state = path.stat()
            if stat.S_ISREG(state.st_mode) and state.st_size:
                found.append((max(state.st_mtime, state.st_atime), state.st_size, path))
    total, most = sum(item[1] for item in found), bound()
    if total <= most:
        return
    for _, own, path in sorted(found):
        if total <= most * 3 // 4:
            return
        _drop(path)
        total -= own


def _drop(path: Path) -> None:
    """A stand-in stays, without its bytes: a folder is known by those that are in it."""
    if STAND_INS not in path.relative_to(folder()).parts or path.suffix == ".tmp":
        path.unlink(missing_ok=True)
        return
    empty = path.with_name(f".{uuid.uuid4().hex}.tmp")
    empty.touch()
    empty.replace(path)  # who has it open reads on

"""What tells that the outside files and folders that a stage reads have changed."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pyarrow.fs as pafs

from detray import mirror
from detray.errors import DamagedError, UsageError
from detray.formats.resolve import resolve
from detray.formats.settings import DatasetSettings
from detray.remote import is_uri, opened
from detray.store import Json, Store, absolute

THREADS = 16
"""On a disk that is far away each file is waited for; on a near one so many threads cost nothing."""
FILES_A_TASK = 1000

File = tuple[bytes, int, int]
"""Name, size in bytes, and time of the last change in ns."""


def fingerprints(paths: Sequence[str], output: Store) -> list[Json]:
    """Of each file or folder: how many files, and a hash of the names, sizes and times of all of them.

    What lies below ``output`` does not count.

    Raises:
        UsageError: a path is not there.
    """
    own = output.path() if output.is_local else None
    found: list[Json] = []
    for path in paths:
        below = sorted(_stored_files(path) if is_uri(path) else _local_files(Path(path).absolute(), own))
        digest = hashlib.blake2b(digest_size=16)
        for name, size, time in below:
            digest.update(name + f"\0{size}\0{time}\n".encode())
        found.append({"path": path, "files": len(below), "fingerprint": digest.hexdigest()})
    return found


def other_input(store: Store, dataset: DatasetSettings) -> str | None:
    """The annotations that the results in an output folder are of, if they are none of those that ``dataset`` names."""
    before = _inputs_of(store, "ingest")
    if not before or not dataset.splits:
        return None
    try:
        now = {mirror.stated(path) for source in resolve(dataset) for path in source.annotations}
    except UsageError:  # the stage that reads it says so
        return None
    return before[0] if now.isdisjoint(before) else None


def other_detector(store: Store, path: str) -> str | None:
    """The detections or model that the predictions in an output folder are of, if it is not ``path``."""
    before = _inputs_of(store, "predict")
    return before[0] if before and absolute(path) not in before else None


def _inputs_of(store: Store, stage: str) -> list[str]:
    """The files and folders that a stage has read; none where it is not there, or damaged and so run again."""
    with contextlib.suppress(DamagedError):
        return [str(one["path"]) for one in (store.manifest(stage) or {}).get("inputs", [])]
    return []


def require_there(paths: Sequence[str], output: Store) -> None:
    """Refuse paths on this machine that are not there; those below ``output`` an earlier stage may make.

    Raises:
        UsageError: naming the first.
    """
    own = Path(output.path()) if output.is_local else None
    for path in paths:
        place = Path(path).absolute()
        if not is_uri(path) and not (own and place.is_relative_to(own)):
            _require_there(place)


def _require_there(path: Path) -> None:
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; check the path")


def _stored_files(uri: str) -> Iterator[File]:
    """The object ``uri``, or all below it."""
    fs, place = opened(uri)
    info = fs.get_file_info(place)
    if info.type == pafs.FileType.NotFound:
        raise UsageError(f"{uri}: no such file or folder; check the path")
    below = fs.get_file_info(pafs.FileSelector(place, recursive=True)) if not info.is_file else [info]
    return ((entry.path.encode(), entry.size, entry.mtime_ns) for entry in below if entry.is_file)


def _local_files(path: Path, own: str | None) -> Iterator[File]:
    """As `_stored_files` on this machine, where names may be any bytes, and links may lead in a circle."""
    _require_there(path)
    places, folders = ([], [str(path)]) if path.is_dir() else ([str(path)], [])
    seen: set[tuple[int, int]] = set()
    with ThreadPoolExecutor(THREADS) as pool:
        while folders:
            further: list[str] = []
            for identity, names, below in pool.map(_listed, folders):
                if identity not in seen:
                    seen.add(identity)
                    places += names
                    further += (folder for folder in below if folder != own)
            folders = further
        starts = range(0, len(places), FILES_A_TASK)
        tasks = (places[start : start + FILES_A_TASK] for start in starts)
        yield from chain.from_iterable(pool.map(_states, tasks))


def _listed(folder: str) -> tuple[tuple[int, int], list[str], list[str]]:
    """What a folder is known by, the files in it, and the folders; nothing of one that may not be read."""
    names: list[str] = []
    below: list[str] = []
    state = Path(folder).stat()
    with contextlib.suppress(PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            (below if _is_folder(entry) else names).append(entry.path)
    return (state.st_dev, state.st_ino), names, below


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _states(places: Sequence[str]) -> list[File]:
    found = []
    for place in places:
        with contextlib.suppress(OSError):  # a link that leads nowhere
            state = os.stat(place)  # noqa: PTH116 - half the cost a file
            if stat.S_ISREG(state.st_mode):
                found.append((os.fsencode(place), state.st_size, state.st_mtime_ns))
    return found

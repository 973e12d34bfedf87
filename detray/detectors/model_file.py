"""Reading a model that is one file."""

import pyarrow.fs as pafs

from detray.detectors.archive import MAX_UNPACKED
from detray.errors import DamagedError, UsageError
from detray.mirror import content
from detray.remote import is_uri
from detray.store import Store


def read_model(path: str, what: str) -> bytes:
    """The file at ``path``, local or a URI; ``what`` is expected there: ``a .tflite file``.

    Raises:
        UsageError: there is no such file, or it is larger than `MAX_UNPACKED`.
    """
    if is_uri(path):
        return _stored(path, what)
    store, name, info = _place(path)
    if info.is_file and info.size > MAX_UNPACKED:
        raise UsageError(f"{path}: larger than {MAX_UNPACKED >> 30} GiB, which is the most that is read")
    try:
        data = store.read_bytes(name) if info.is_file else None
    except DamagedError:  # a pipe would be waited for
        data = None
    if data is None:
        there = "a folder" if info.type.name == "Directory" else "not there"
        raise UsageError(f"{path}: {there}; detector.path names {what}")
    return data


def version_of(path: str) -> tuple[int, int]:
    """Size in bytes and time of the last change of a file, which tell whether it is another one now."""
    info = _place(path)[2]
    return info.size or 0, info.mtime_ns or 0


def _place(path: str) -> tuple[Store, str, pafs.FileInfo]:
    """The folder of a file, its name there, and what is known of it."""
    folder, _, name = path.rstrip("/").rpartition("/")
    store = Store(folder or ("/" if path.startswith("/") else "."))
    return store, name, store.fs.get_file_info(store.path(name))


def _stored(uri: str, what: str) -> bytes:
    try:
        data = content(uri, MAX_UNPACKED + 1)
    except FileNotFoundError:
        raise UsageError(f"{uri}: not there; detector.path names {what}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{uri}: cannot be opened ({str(error).splitlines()[0]})") from None
    if len(data) > MAX_UNPACKED:
        raise UsageError(f"{uri}: larger than {MAX_UNPACKED >> 30} GiB, which is the most that is read")
    return data

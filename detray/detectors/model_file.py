"""Reading a model that is one file."""

from detray.detectors.archive import MAX_UNPACKED
from detray.errors import DamagedError, UsageError
from detray.store import Store


def read_model(path: str, what: str) -> bytes:
    """The file at ``path``, local or a URI; ``what`` is expected there: ``a .tflite file``.

    Raises:
        UsageError: there is no such file, or it is larger than `MAX_UNPACKED`.
    """
    folder, _, name = path.rstrip("/").rpartition("/")
    store = Store(folder or ("/" if path.startswith("/") else "."))
    info = store.fs.get_file_info(store.path(name))
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

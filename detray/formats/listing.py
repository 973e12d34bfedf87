"""File lists: which annotation files a split of one file an image has."""

import os
import re
from collections.abc import Iterable

import pyarrow as pa

from detray.errors import DetrayError, UsageError
from detray.files import open_file
from detray.formats.format import PLAN

FILES_PER_CHUNK = 1000
MAX_LIST_BYTES = 1 << 30
MAX_FILE_BYTES = 16 << 20
MAX_BOXES = 100_000
"""An image with more boxes, or a longer file of one image, is not read: it would fill the memory."""
_FLAGS = ("-1", "0", "1")
_NO_TEXT = re.compile("[\udc80-\udcff]")
"""What Python reads bytes of a file's name as that are no UTF-8 (PEP 383)."""
NAME_IS_NO_TEXT = "its name is no UTF-8 text; rename it"


def files_below(folder: str, suffix: str | tuple[str, ...]) -> list[str]:
    """Full paths of what is no folder in ``folder`` and has that suffix, or one of them, in the order of their names.

    Raises:
        DetrayError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = [as_text(one.path) for one in entries if one.name.lower().endswith(suffix) and not _is_folder(one)]
    except OSError as error:
        raise unreadable_folder(error) from None
    return sorted(found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def unreadable_folder(error: OSError) -> DetrayError:
    """The error for a folder whose content cannot be listed."""
    return DetrayError(f"{error.filename}: cannot be read ({error.strerror}); check the folder")


def as_text(path: str) -> str:
    """``path`` as tables can hold it: bytes of a name that are no UTF-8 as ``\ufffd`` and their number.

    There is no file of that name, which says so when it is to be read.
    """
    if path.isascii():
        return path
    return _NO_TEXT.sub(lambda found: f"\ufffd{ord(found[0]) & 0xFF:02x}", path)


def listed_names(path: str) -> list[str]:
    """The names in a list file, one a line, in their order, each once.

    Pascal's lists of a class hold a flag (-1, 0 or 1) behind the name, which is not read.

    Raises:
        UsageError: it cannot be read, is no text, or names nothing.
    """
    try:
        with open_file(path) as file:
            data = file.read(MAX_LIST_BYTES + 1)
        if len(data) > MAX_LIST_BYTES:
            raise UsageError(f"{path}: larger than {MAX_LIST_BYTES >> 20} MiB, so not a list of names")
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text, so not a list of names") from None
    names = []
    for line in lines:
        name, space, flag = line.strip().rpartition(" ")
        names.append(name.strip() if space and flag in _FLAGS else line.strip())
    found = list(dict.fromkeys(name for name in names if name))
    if not found:
        raise UsageError(f"{path}: names no image")
    return found


def file_plan(files: Iterable[str]) -> pa.Table:
    """A plan of `FILES_PER_CHUNK` files a chunk, in their order."""
    found = list(files)
    return pa.table(
        {
            "chunk": pa.array([number // FILES_PER_CHUNK for number in range(len(found))], pa.int32()),
            "file": pa.array(found, pa.string()),
            "part": pa.nulls(len(found), pa.string()),
            "start": pa.nulls(len(found), pa.int64()),
            "end": pa.nulls(len(found), pa.int64()),
        },
        schema=PLAN,
    )


def read_bounded(path: str) -> bytes:
    """The bytes of the annotation file of one image.

    Raises:
        DetrayError: it cannot be read or is longer than `MAX_FILE_BYTES`.
    """
    try:
        with open_file(path) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        no_text = isinstance(error, FileNotFoundError) and "\ufffd" in path
        raise DetrayError(NAME_IS_NO_TEXT if no_text else f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise DetrayError(f"longer than {MAX_FILE_BYTES >> 20} MiB")
    return data


def too_many(count: int) -> str:
    """What is said of an image with more than `MAX_BOXES`."""
    return f"holds {count} boxes; an image with more than {MAX_BOXES} is not read"

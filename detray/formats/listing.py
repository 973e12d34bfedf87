"""File lists: which annotation files a split of one file an image has."""

import os
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


def files_below(folder: str, suffix: str) -> list[str]:
    """Full paths of what is no folder in ``folder`` and has that suffix, in the order of their names."""
    with os.scandir(folder) as entries:
        return sorted(entry.path for entry in entries if entry.name.lower().endswith(suffix) and not entry.is_dir())


def listed_names(path: str) -> list[str]:
    """The names in a list file, one a line, in their order, each once.

    Pascal's lists of a class hold a flag (-1, 0 or 1) behind the name, which is not read.

    Raises:
        UsageError: it cannot be read or is no text.
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
    return list(dict.fromkeys(name for name in names if name))


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
        raise DetrayError(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise DetrayError(f"longer than {MAX_FILE_BYTES >> 20} MiB")
    return data


def too_many(count: int) -> str:
    """What is said of an image with more than `MAX_BOXES`."""
    return f"holds {count} boxes; an image with more than {MAX_BOXES} is not read"

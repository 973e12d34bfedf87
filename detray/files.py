"""Opening files that a data set names or holds."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from detray import mirror

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".mpo")
"""Endings of the names of pictures."""
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

RECORD = "tfrecord://"
"""What the place of a picture within a TFRecord file begins with."""


def open_file(path: str | Path, buffering: int = -1) -> BinaryIO:
    """Open a regular file for reading its bytes; links are followed.

    Anything else is refused: opening a named pipe that nobody writes to waits for ever. A file that stands for a URI is
    fetched first.

    Raises:
        OSError: there is no such file, it cannot be read, or it is no regular file.
        ValueError: no file can have that name.
    """
    path = mirror.here(path) if isinstance(path, str) else path
    mirror.fetch(path)
    number = os.open(path, os.O_RDONLY | _NO_WAITING)
    try:
        mode = os.fstat(number).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
        return os.fdopen(number, "rb", buffering)
    except OSError:
        os.close(number)
        raise


def file_size(path: str) -> int:
    """Bytes of a file.

    Raises:
        OSError: as `open_file`.
    """
    with open_file(path, buffering=0) as file:
        return os.fstat(file.fileno()).st_size


class Inside:
    """Files found in folders of a data set, read without a question about each name.

    A folder's own links are resolved once. A file is opened only if it is no link itself, so it lies in its folder.
    """

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self.allowed = allowed
        self._folders: dict[str, bool] = {}

    def read(self, path: str, most: int) -> bytes | None:
        """The first ``most`` bytes of a regular file; None where it takes longer to say what it is: see `locate`."""
        folder, _, name = path.rpartition("/")
        is_inside = self._folders.get(folder)
        if is_inside is None:
            is_inside = self._folders[folder] = self._holds(folder)
        if not is_inside or "\\" in name:
            return None
        try:
            number = os.open(path, os.O_RDONLY | _NO_WAITING | _NO_LINK)
        except (OSError, ValueError):
            return None
        try:
            state = os.fstat(number)
            if not stat.S_ISREG(state.st_mode) or not state.st_size:
                return None
            data = os.read(number, min(state.st_size + 1, most))
            return data if len(data) == min(state.st_size, most) else None  # sizes of some file systems are none
        except OSError:
            return None
        finally:
            os.close(number)

    def _holds(self, folder: str) -> bool:
        place = f"{os.path.realpath(folder).rstrip('/')}/"
        is_below = any(place.startswith(f"{base.rstrip('/')}/") for base in self.allowed)
        return is_below and os.path.normpath(folder) == folder and _NO_LINK != 0


def in_record(file: str, start: int, length: int | None) -> str:
    """Where a picture lies that the TFRecord file ``file`` holds: ``tfrecord://FILE#START,LENGTH``, in bytes.

    ``length`` is None where the record whose data begin at ``start`` holds no picture. No local path looks
    so: each begins with a slash.
    """
    return f"{RECORD}{file}#{start},{'' if length is None else length}"

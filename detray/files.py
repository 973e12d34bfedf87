"""Opening files that a data set names or holds."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".mpo")
"""Endings of the names of pictures."""
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

RECORD = "tfrecord://"
"""What the place of a picture within a TFRecord file begins with."""


def open_file(path: str | Path, buffering: int = -1) -> BinaryIO:
    """Open a regular file for reading its bytes; links are followed.

    Anything else is refused: opening a named pipe that nobody writes to waits for ever.

    Raises:
        OSError: there is no such file, it cannot be read, or it is no regular file.
        ValueError: no file can have that name.
    """
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


def in_record(file: str, start: int, length: int | None) -> str:
    """Where a picture lies that the TFRecord file ``file`` holds: ``tfrecord://FILE#START,LENGTH``, in bytes.

    ``length`` is None where the record whose data begin at ``start`` holds no picture. No local path looks
    so: each begins with a slash.
    """
    return f"{RECORD}{file}#{start},{'' if length is None else length}"

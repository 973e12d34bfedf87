"""Bytes of a JSON file by position, as UTF-8 whatever it was written in."""

import codecs
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from detray.errors import DetrayError
from detray.files import open_file

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OPENING = (b"{", b"[", b" ", b"\t", b"\r", b"\n")
MAX_TRANSCODED_BYTES = 1 << 30
"""A file in another encoding is held whole; beyond this it must be UTF-8."""


@dataclass(frozen=True)
class JsonFile:
    """A JSON file: `read` gives UTF-8 between two positions; ``start`` is behind a byte order mark.

    ``version`` tells one content of a file that is held in memory from another.
    """

    path: str
    encoding: str
    start: int
    size: int
    version: int = 0

    def read(self, start: int, end: int) -> bytes:
        """The bytes ``start <= position < end``, fewer where the file ends before."""
        if self.encoding != "utf-8":
            return _transcoded(self.path, self.encoding, self.version)[start:end]
        try:
            with open_file(self.path, buffering=0) as file:
                file.seek(start)
                return _read_fully(file, end - start)
        except OSError as error:
            raise DetrayError(f"{self.path}: cannot be read ({error.strerror or error}); check the file") from None


def open_json(path: str) -> JsonFile:
    """Look at the head of ``path`` and tell its encoding (RFC 8259 wants UTF-8, some writers differ).

    Raises:
        DetrayError: it cannot be read, or is large and not UTF-8.
    """
    try:
        with open_file(path) as file:
            head = file.read(4)
            state = os.fstat(file.fileno())
    except OSError as error:
        raise DetrayError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    encoding, start = "utf-8", 0
    for mark, name in _MARKS:
        if head.startswith(mark):
            encoding, start = name, len(mark)
            break
    else:
        # without a mark: the first character of JSON is ASCII, and its other byte zero
        if head[:1] == b"\0" and head[1:2] in _OPENING:
            encoding = "utf-16-be"
        elif head[1:2] == b"\0" and head[:1] in _OPENING:
            encoding = "utf-16-le"
    if encoding == "utf-8":
        return JsonFile(path, encoding, start, state.st_size)
    if state.st_size > MAX_TRANSCODED_BYTES:
        raise DetrayError(f"{path}: {encoding} text of {state.st_size >> 20} MiB; save so large a file as UTF-8")
    length = len(_transcoded(path, encoding, state.st_mtime_ns))
    return JsonFile(path, encoding, 0, length, state.st_mtime_ns)


def _read_fully(file: object, size: int) -> bytes:
    """A raw read gives at most 2 GiB at once, and may give less."""
    read = file.read  # type: ignore[attr-defined]  # a raw file
    data: bytes = read(size) or b""
    while len(data) < size and (more := read(size - len(data))):
        data += more
    return data


@lru_cache(maxsize=1)
def _transcoded(path: str, encoding: str, version: int) -> bytes:
    return Path(path).read_bytes().decode(encoding, errors="replace").encode("utf-8", errors="replace")

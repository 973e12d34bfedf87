"""TFRecord files: length, its checksum, data, its checksum (tensorflow.org/tutorials/load_data/tfrecord)."""

import mmap
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

import google_crc32c

from detray.errors import DetrayError
from detray.files import open_file

_HEADER, _FOOTER = Struct("<QI"), Struct("<I")
_SHARD = re.compile(r"(?P<base>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>[^/]*)")
_SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec", ".record", ".records")
_HEAD_BYTES = 4096
_MENDS = {"GZIP": "decompress the file (gunzip)", "ZLIB": "write them again without compression"}
_MASK_DELTA = 0xA282EAD8
MAX_SHARDS = 99_999


@dataclass(frozen=True)
class Span:
    """Some consecutive records: byte range and the number of the first. ``broken`` says why no more follow."""

    start: int
    end: int
    first: int
    broken: str | None = None


def checksum(data: bytes) -> int:
    """The CRC-32C as TFRecords store it, masked (tensorflow/core/lib/hash/crc32c.h)."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def framed(content: bytes) -> bytes:
    """A record: its length and data, each with its checksum."""
    head = _HEADER.pack(len(content), 0)[:8]
    return head + _FOOTER.pack(checksum(head)) + content + _FOOTER.pack(checksum(content))


def map_file(path: str) -> memoryview:
    """The bytes of a file, read only where they are looked at; unmapped once no view of them is left.

    Raises:
        DetrayError: it cannot be read.
    """
    try:
        with open_file(path) as file:
            if not os.fstat(file.fileno()).st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise DetrayError(f"{path}: cannot be read ({error.strerror}); check the file") from None


def is_record_file(path: Path) -> bool:
    """Whether the file begins with a record's length and the checksum of it, compressed or not."""
    with open_file(path) as file:
        head = file.read(_HEAD_BYTES)
    return _length(memoryview(head), 0) is not None or _compression(head) is not None


def is_called_record_file(path: Path) -> bool:
    """Whether the file's name says that it holds records: by its suffix, or as one of many (``-00000-of-00010``)."""
    if shard := _SHARD.fullmatch(path.name):
        return Path(shard["base"]).suffix.lower() in ("", *_SUFFIXES)
    return path.suffix.lower() in _SUFFIXES


def _compression(head: bytes | memoryview) -> str | None:
    """GZIP or ZLIB, where that is how the records of a file are written (tf.io.TFRecordOptions), by its first bytes."""
    for name, window in (("GZIP", zlib.MAX_WBITS | 16), ("ZLIB", zlib.MAX_WBITS)):
        try:
            first = zlib.decompressobj(window).decompress(head, _HEADER.size)
        except zlib.error:
            continue
        if _length(memoryview(first), 0) is not None:
            return name
    return None


def spans(data: memoryview, size: int, count: int) -> list[Span]:
    """Divide a file into spans of about ``size`` bytes or ``count`` records; only headers are looked at."""
    found: list[Span] = []
    start = position = first = number = 0
    broken = None
    while position < len(data):
        length = _length(data, position)
        left = len(data) - position - _HEADER.size - _FOOTER.size
        if length is None:
            broken = f"record {number}, byte {position}: its length does not agree with its checksum"
            if position == 0 and (compression := _compression(data[:_HEAD_BYTES])):
                broken = f"its records are {compression}-compressed; {_MENDS[compression]}"
        elif length > left:
            broken = f"record {number}, byte {position}: states {length} bytes where {max(left, 0)} are left"
        if broken is not None or length is None:
            break
        position += _HEADER.size + length + _FOOTER.size
        number += 1
        if position - start >= size or number - first >= count:
            found.append(Span(start, position, first))
            start, first = position, number
    if position > start or broken is not None or not found:
        found.append(Span(start, position, first, broken))
    return found


def records(data: memoryview, start: int, end: int) -> Iterator[tuple[int, bytes | None]]:
    """Where the data of each record of a span begin, and what they are; None where their checksum does not hold."""
    position = start
    while position < end:
        length = _length(data, position) or 0
        begin = position + _HEADER.size
        content = bytes(data[begin : begin + length])
        (stated,) = _FOOTER.unpack_from(data, begin + length)
        position = begin + length + _FOOTER.size
        yield begin, content if checksum(content) == stated else None


def _length(data: memoryview, position: int) -> int | None:
    """A record's length; None where header or checksum are broken."""
    if len(data) - position < _HEADER.size:
        return None
    length, stated = _HEADER.unpack_from(data, position)
    return length if checksum(bytes(data[position : position + 8])) == stated else None


def missing_shards(paths: Sequence[str]) -> list[str]:
    """The shards (``-00003-of-00010``) that should stand beside those of ``paths`` and do not."""
    there = set(paths)
    missing: dict[str, None] = {}
    for match in (_SHARD.fullmatch(path) for path in paths):
        if match and int(match["count"]) <= MAX_SHARDS:
            count = int(match["count"])
            names = (f"{match['base']}-{number:05d}-of-{count:05d}{match['suffix']}" for number in range(count))
            missing |= dict.fromkeys(name for name in names if name not in there)
    return list(missing)

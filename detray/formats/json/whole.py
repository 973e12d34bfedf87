"""JSON files of drawing tools, which are read whole: as a value, or as the records of their list or object."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pyarrow as pa

from detray.errors import DetrayError
from detray.formats.format import PLAN
from detray.formats.json.file import open_json
from detray.formats.source import Source

MAX_BYTES = 1 << 30
RECORDS_PER_CHUNK = 2000
_HEAD_BYTES = 1 << 20
# possessive: a string of any length is matched without a stack of ways back
_TOKEN = re.compile(rb'"((?:[^"\\]++|\\.)*+)"(\s*:)?|[{}\[\]]', re.DOTALL)
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])

Record = msgspec.Raw | Any
"""JSON text, or in files that only Python's parser reads (NaN) its value."""


def keys(path: str, depth: int = 1) -> set[str]:
    """The keys of the first object at some depth of a file, 1 for the file's own object, as far as its head shows."""
    file = open_json(path)
    head = file.read(file.start, file.start + _HEAD_BYTES).lstrip()
    found: set[str] = set()
    if head[:1] not in (b"{", b"["):
        return found
    opened = 0
    for token in _TOKEN.finditer(head):
        text = token[0]
        if text in (b"{", b"["):
            opened += 1
        elif text in (b"}", b"]"):
            opened -= 1
            if opened < depth and found:
                break
        elif opened == depth and token[2]:
            found.add(token[1].decode("utf-8", "replace"))
    return found


def read_text(path: str, most: int = MAX_BYTES) -> bytes:
    """A file as UTF-8.

    Raises:
        DetrayError: it cannot be read, or has more than ``most`` bytes.
    """
    file = open_json(path)
    if file.size > most:
        raise DetrayError(f"longer than {most >> 20} MiB")
    return file.read(file.start, file.size)


def value_of(record: Record) -> Any:
    """The value of JSON text (also with NaN and Infinity), or of a record.

    Raises:
        DetrayError: it does not parse.
    """
    if not isinstance(record, bytes | msgspec.Raw):
        return record
    try:
        return msgspec.json.decode(record)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(bytes(record).decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise DetrayError(f"does not parse as JSON: {error}") from None


def elements(text: bytes) -> list[Record]:
    """The elements of a list.

    Raises:
        DetrayError: it is none.
    """
    try:
        return _RAW_LIST.decode(text)
    except (ValueError, RecursionError):
        value = value_of(text)
    if not isinstance(value, list):
        raise DetrayError("is not one JSON list")
    return value


def fields(record: Record) -> dict[str, Record]:
    """The fields of an object.

    Raises:
        DetrayError: it is none.
    """
    try:
        return _RAW_FIELDS.decode(record)
    except (TypeError, ValueError, RecursionError):
        value = value_of(record)
    if not isinstance(value, dict):
        raise DetrayError("is not one JSON object")
    return value


Cut = Callable[[bytes], list[Any]]
"""The records of a file's text; raises DetrayError."""


def plan(source: Source, cut: Cut) -> pa.Table:
    """A chunk is some records of one file; ``part`` says why a file cannot be read."""
    rows: list[dict[str, Any]] = []
    for path in source.annotations:
        try:
            count = len(cut(read_text(path)))
        except DetrayError as error:
            rows.append({"file": path, "part": str(error)})
            continue
        starts = range(0, count, RECORDS_PER_CHUNK)
        rows += [{"file": path, "start": start, "end": min(start + RECORDS_PER_CHUNK, count)} for start in starts]
    return pa.Table.from_pylist([row | {"chunk": number} for number, row in enumerate(rows)], PLAN)


def records(piece: dict[str, Any], cut: Cut) -> Iterator[tuple[int, Any]]:
    """The records of a row of `plan`, each with its number."""
    return enumerate(cut(read_text(piece["file"]))[piece["start"] : piece["end"]], piece["start"])

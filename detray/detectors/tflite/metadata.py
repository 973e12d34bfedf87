"""What a TFLite file says of itself beside its graph: labels, and how its pixels are scaled.

TFLite's own metadata is a FlatBuffer within the file, and files in a ZIP behind it; Ultralytics' exports have a ZIP
alone. None of it is trusted: counts and sizes are bounded, and what does not read is as if it were not there.
Sources: ``metadata_schema.fbs`` of tflite-support; Ultralytics, ``nn/backends/base.py``.
"""

import ast
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detray.detectors.ranges import Channels, Scaling

MAX_TEXT = 1 << 20
"""Bytes of a file in the ZIP."""
MAX_ITEMS = 64
"""Of a vector in the metadata."""
LABEL_FILES = ("labelmap.txt", "labels.txt", "label_map.txt")
NO_LABEL = "???"
"""What stands where an id is of no class (the labels of COCO)."""
_AXIS_LABELS, _VALUE_LABELS, _NORMALIZATION = 2, 3, 1


@dataclass(frozen=True)
class Metadata:
    """``classes`` by id from 0; ``scaling`` of the pixels; ``outputs``: a name for each, in the graph's order.

    ``yolo``: what an export of Ultralytics says; None: it is none.
    """

    classes: Mapping[int, str] = field(default_factory=dict)
    scaling: Scaling | None = None
    outputs: tuple[str, ...] = ()
    yolo: Mapping[str, Any] | None = None


def read_metadata(data: bytes) -> Metadata:
    """The metadata of a file that LiteRT has verified; empty where it has none."""
    files = _Files(data)
    yolo = files.yolo()
    if yolo is not None:
        return Metadata(_names(yolo.get("names")), yolo=yolo)
    try:
        subgraph = _Table.metadata_of(data)
        scaling = next((found for table in subgraph.tables(2) if (found := _scaling(table)) is not None), None)
        outputs = list(subgraph.tables(3))
        names = tuple(table.text(0) for table in outputs)
        stated = [name for table in outputs for name in _label_files(table)]
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError):
        scaling, names, stated = None, (), []
    text = next((text for name in (*stated, *LABEL_FILES) if (text := files.text(name)) is not None), "")
    labels = enumerate(line.strip() for line in text.splitlines())
    return Metadata({number: name for number, name in labels if name not in ("", NO_LABEL)}, scaling, names)


class _Files:
    """The files in the ZIP behind a model."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                self.names = archive.namelist()[:1000]
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            self.names = []

    def text(self, name: str) -> str | None:
        """A file of at most `MAX_TEXT` bytes; None: there is none."""
        if name not in self.names:
            return None
        try:
            with zipfile.ZipFile(io.BytesIO(self._data)) as archive, archive.open(name) as file:
                read = file.read(MAX_TEXT + 1)
            return read.decode("utf-8-sig") if len(read) <= MAX_TEXT else None
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error):
            return None

    def yolo(self) -> Mapping[str, Any] | None:
        """The dictionary of an Ultralytics export: JSON, or in older ones what Python prints."""
        text = self.text("metadata.json")
        try:
            if text is not None:
                found = json.loads(text)
            elif len(self.names) == 1 and (text := self.text(self.names[0])) is not None and text.startswith("{"):
                found = ast.literal_eval(text)
            else:
                return None
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("names"), (dict, list)) else None


def _names(names: Any) -> dict[int, str]:
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    return {int(number): str(name) for number, name in pairs if str(number).isdecimal()}


class _Table:
    """A table of a FlatBuffer, read by the position of its fields in the schema."""

    def __init__(self, buffer: bytes, place: int) -> None:
        from flatbuffers.table import Table

        if not 0 <= place < len(buffer):
            raise IndexError(place)
        self._table = Table(buffer, place)

    @staticmethod
    def metadata_of(data: bytes) -> "_Table":
        """The metadata of the first subgraph.

        Raises:
            IndexError: there is none.
        """
        from ai_edge_litert import schema_py_generated as schema

        model = schema.Model.GetRootAs(data, 0)
        for number in range(min(model.MetadataLength(), MAX_ITEMS)):
            entry = model.Metadata(number)
            if entry.Name() == b"TFLITE_METADATA":
                buffer = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
                root = _Table(buffer, int.from_bytes(buffer[:4], "little"))
                return next(root.tables(3))
        raise IndexError("no metadata")

    def tables(self, field: int) -> Iterator["_Table"]:
        """The tables of a vector."""
        start, count = self._vector(field)
        for number in range(count):
            yield _Table(self._table.Bytes, self._table.Indirect(start + 4 * number))

    def table(self, field: int) -> "_Table | None":
        offset = self._table.Offset(4 + 2 * field)
        return _Table(self._table.Bytes, self._table.Indirect(offset + self._table.Pos)) if offset else None

    def text(self, field: int) -> str:
        offset = self._table.Offset(4 + 2 * field)
        return self._table.String(offset + self._table.Pos).decode() if offset else ""

    def number(self, field: int) -> int:
        """An 8-bit integer, 0 where it is not stated."""
        offset = self._table.Offset(4 + 2 * field)
        return self._table.Bytes[offset + self._table.Pos] if offset else 0

    def floats(self, field: int) -> list[float]:
        start, count = self._vector(field)
        return [float(value) for value in np.frombuffer(self._table.Bytes, "<f4", count, start)] if count else []

    def _vector(self, field: int) -> tuple[int, int]:
        offset = self._table.Offset(4 + 2 * field)
        return (self._table.Vector(offset), min(self._table.VectorLen(offset), MAX_ITEMS)) if offset else (0, 0)


def _scaling(tensor: _Table) -> Scaling | None:
    """How an input's pixels are scaled, by its NormalizationOptions."""
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.number(0) == _NORMALIZATION and options is not None:
            mean, deviation = _channels(options.floats(0)), _channels(options.floats(1))
            if mean is not None and deviation is not None and all(value > 0 for value in deviation):
                return Scaling.normalising(mean, deviation)
    return None


def _channels(values: list[float]) -> Channels | None:
    """One value for all channels, or three."""
    if len(values) not in (1, 3) or not np.isfinite(values).all():
        return None
    red, green, blue = values if len(values) == 3 else values * 3
    return red, green, blue


def _label_files(tensor: _Table) -> list[str]:
    files = tensor.tables(6)
    return [file.text(0) for file in files if file.number(2) in (_AXIS_LABELS, _VALUE_LABELS)]

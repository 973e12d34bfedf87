"""TensorBoard's event files without TensorBoard or TensorFlow: records of protocol buffers, which are declared here."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from detray.pipeline.fields import In, message_class


@dataclass(frozen=True)
class Tensor:
    """A tensor of one number (tensorflow/core/framework/tensor.proto)."""

    dtype: Annotated[int, In(1)] = 0
    tensor_content: Annotated[bytes, In(4, "bytes")] = b""
    float_val: Annotated[tuple[float, ...], In(5)] = ()
    double_val: Annotated[tuple[float, ...], In(6, "double")] = ()


@dataclass(frozen=True)
class Value:
    """A point of a curve (tensorflow/core/framework/summary.proto)."""

    tag: Annotated[str, In(1)] = ""
    simple_value: Annotated[float | None, In(2)] = None
    tensor: Annotated[Tensor | None, In(8)] = None

    @property
    def number(self) -> float | None:
        """It, if it is one."""
        if self.simple_value is not None or self.tensor is None:
            return self.simple_value
        tensor = self.tensor
        stated = tensor.float_val or tensor.double_val
        if stated:
            return stated[0]
        size = {1: "<f", 2: "<d"}.get(tensor.dtype)
        is_one = size is not None and len(tensor.tensor_content) == struct.calcsize(size)
        return float(struct.unpack(size, tensor.tensor_content)[0]) if size is not None and is_one else None


@dataclass(frozen=True)
class Summary:
    """Points of some curves."""

    value: Annotated[tuple[Value, ...], In(1)] = ()


@dataclass(frozen=True)
class Event:
    """What happened at a step (tensorflow/core/util/event.proto); the first of a file names its version."""

    wall_time: Annotated[float, In(1, "double")] = 0.0
    step: Annotated[int, In(2, "int64")] = 0
    file_version: Annotated[str, In(3)] = ""
    summary: Annotated[Summary | None, In(5)] = None


class Point(NamedTuple):
    """What an epoch came to, by the name of its curve; ``ended`` in seconds since 1970."""

    epoch: int
    ended: float
    values: Mapping[str, float]


def event_file(points: Iterable[Point]) -> bytes:
    """A whole event file."""
    points = list(points)
    first = _event(wall_time=points[0].ended if points else 0.0, file_version="brain.Event:2")
    return b"".join([_record(first), *map(event, points)])


def event(point: Point) -> bytes:
    """The part of an event file that adds an epoch."""
    values = [{"tag": name, "simple_value": value} for name, value in point.values.items()]
    return _record(_event(wall_time=point.ended, step=point.epoch, summary={"value": values}))


def _event(**fields: Any) -> bytes:
    content: bytes = message_class(Event)(**fields).SerializeToString()
    return content


def _record(content: bytes) -> bytes:
    """As in a TFRecord: length and content, each with its masked CRC-32C."""
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    import google_crc32c

    value = google_crc32c.value(content)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)

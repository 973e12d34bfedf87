"""TensorBoard's event files, written without TensorBoard: records of protocol buffers that TensorFlow brings along."""

import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


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
    from tensorflow.core.framework.summary_pb2 import Summary

    values = [Summary.Value(tag=name, simple_value=value) for name, value in point.values.items()]
    return _record(_event(wall_time=point.ended, step=point.epoch, summary=Summary(value=values)))


def _event(**fields: Any) -> bytes:
    from tensorflow.core.util.event_pb2 import Event

    content: bytes = Event(**fields).SerializeToString()
    return content


def _record(content: bytes) -> bytes:
    """As in a TFRecord: length and content, each with its masked CRC-32C."""
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    import google_crc32c

    value = google_crc32c.value(content)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)

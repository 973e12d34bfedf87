"""tf.train.Example from its wire form (protobuf.dev/programming-guides/encoding), without TensorFlow.

Importing TensorFlow costs a worker 2 s and 400 MB, and its parser copies the encoded picture that
every record holds; this one reads numbers and leaves bytes where they are. Every length is checked
against what is left, and nesting is what the message has: three levels.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

Value = list[int] | list[float] | list[memoryview]
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


class BrokenExample(ValueError):
    """Bytes that are no tf.train.Example."""


def parse_example(data: memoryview) -> dict[str, Value]:
    """The features of an Example by name: lists of int, of float, or of views of the bytes.

    Raises:
        BrokenExample: the bytes are something else, or cut off.
    """
    features: dict[str, Value] = {}
    for number, wire, value in _fields(data):
        if number == 1 and wire == _LENGTH:
            for inner_number, inner_wire, entry in _fields(value):
                if inner_number == 1 and inner_wire == _LENGTH:
                    name, feature = _entry(entry)
                    features[name] = feature
    return features


def _entry(data: memoryview) -> tuple[str, Value]:
    name, feature = "", memoryview(b"")
    for number, wire, value in _fields(data):
        if number == 1 and wire == _LENGTH:
            name = bytes(value).decode("utf-8", "replace")
        elif number == 2 and wire == _LENGTH:
            feature = value
    return name, _feature(feature)


def _feature(data: memoryview) -> Value:
    """Of the lists of a feature the last counts; lists may come packed or value by value."""
    found: Value = []
    for kind, wire, value in _fields(data):
        if wire != _LENGTH:
            continue
        if kind == _BYTES_LIST:
            found = [item for number, inner, item in _fields(value) if number == 1 and inner == _LENGTH]
        elif kind == _FLOAT_LIST:
            found = _floats(value)
        elif kind == _INT64_LIST:
            found = _integers(value)
    return found


def _floats(data: memoryview) -> list[float]:
    found: list[float] = []
    for number, wire, value in _fields(data):
        if number == 1 and wire in (_LENGTH, _FIXED32):
            if len(value) % 4:
                raise BrokenExample("a list of floats is cut off")
            found += np.frombuffer(value, "<f4").astype(np.float64).tolist()
    return found


def _integers(data: memoryview) -> list[int]:
    found: list[int] = []
    for number, wire, value in _fields(data):
        if number == 1 and wire == _LENGTH:
            position = 0
            while position < len(value):
                item, position = _varint(value, position)
                found.append(item)
        elif number == 1 and wire == _VARINT:
            found.append(value)
    return [item - (1 << 64) if item >= 1 << 63 else item for item in found]


def _fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of each field of a message: the number of a varint, else a view of bytes."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield tag >> 3, wire, value
            continue
        if wire == _LENGTH:
            length, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise BrokenExample(f"wire type {wire} is not used by examples")
        if length > end - position:
            raise BrokenExample(f"a field of {length} bytes where {end - position} are left")
        yield tag >> 3, wire, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    for place in range(position, min(position + 10, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place + 1
        shift += 7
    raise BrokenExample("a number is cut off")

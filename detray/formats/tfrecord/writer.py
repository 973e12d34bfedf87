"""TFRecords written back, record by record: features that are not changed keep their very bytes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from struct import Struct
from typing import Any

from detray.changes import Change, Changes
from detray.formats.listing import MAX_BOXES
from detray.formats.tfrecord.example import BrokenExample, message, parse_example
from detray.formats.tfrecord.reader import count_boxes
from detray.formats.tfrecord.records import checksum, framed, map_file

_LENGTH, _CHECK = Struct("<Q"), Struct("<I")
_COPY_BYTES = 1 << 20
_OBJECT = "image/object/"
_SIDES = ("bbox/xmin", "bbox/ymin", "bbox/xmax", "bbox/ymax")
_NOTHING: dict[str, Any] = {"float_list": 0.0, "int64_list": 0, "bytes_list": b""}
_KINDS = {float: "float_list", int: "int64_list", bytes: "bytes_list"}


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its boxes changed, piece by piece.

    Raises:
        DetrayError: it cannot be read.
    """
    data = map_file(path)
    of_record: dict[int | None, list[Change]] = defaultdict(list)
    for change in changes.added:
        of_record[change.image_row].append(change)
    position = number = row = 0
    is_changed = bool(changes)
    while is_changed and position < len(data):
        head = bytes(data[position : position + _LENGTH.size])
        start = position + _LENGTH.size + _CHECK.size
        if start > len(data) or checksum(head) != _CHECK.unpack_from(data, position + _LENGTH.size)[0]:
            break
        end = start + _LENGTH.unpack(head)[0]
        if end + _CHECK.size > len(data):
            break
        content = bytes(data[start:end])
        count = _count(content) if checksum(content) == _CHECK.unpack_from(data, end)[0] else None
        own = {index: found for index in range(count or 0) if (found := changes.take(row + index))}
        if count is not None and (own or of_record[number]):
            content = _edited(content, count, own, of_record[number])
            yield framed(content)
        else:
            yield bytes(data[position : end + _CHECK.size])
        row += count or 0
        position, number = end + _CHECK.size, number + 1
    for at in range(position, len(data), _COPY_BYTES):
        yield bytes(data[at : at + _COPY_BYTES])


def select(path: str, kept: Set[int]) -> Iterator[bytes]:
    """A file with some of its records only, piece by piece.

    Raises:
        DetrayError: it cannot be read.
    """
    data = map_file(path)
    position = number = 0
    while (start := position + _LENGTH.size + _CHECK.size) <= len(data):
        end = start + _LENGTH.unpack_from(data, position)[0] + _CHECK.size
        if end > len(data):
            break
        if number in kept:
            yield bytes(data[position:end])
        position, number = end, number + 1


def _count(content: bytes) -> int | None:
    """How many boxes a record holds; None where it is not read."""
    try:
        count = count_boxes(parse_example(content))
    except BrokenExample:
        return None
    return count if count <= MAX_BOXES else None


def _edited(content: bytes, count: int, changed: dict[int, Change], added: Sequence[Change]) -> bytes:
    """A record of ``count`` boxes with some changed, and others added."""
    raw = message("RawExample").FromString(content)
    entries = {}
    for place, text in enumerate(raw.features.feature):
        entry = message("Entry").FromString(text)
        if entry.key.startswith(_OBJECT.encode()):
            entries[entry.key.decode("utf-8", "replace").removeprefix(_OBJECT)] = (place, entry)
    touched = set()
    for index, change in changed.items():
        for name, value in {} if change.is_drop else _values(change):
            if name in entries and _set(entries[name][1].value, index, value):
                touched.add(name)
    for change in added:
        touched |= _append(entries, count, change, raw)
        count += 1
    dropped = sorted((index for index, change in changed.items() if change.is_drop), reverse=True)
    for name, (_, entry) in entries.items() if dropped else ():
        values = _list(entry.value)
        if len(values) == count or name in (*_SIDES, "class/label", "class/text", "area", "is_crowd", "difficult"):
            for index in dropped:
                if index < len(values):
                    del values[index]
            touched.add(name)
    for name in touched:
        place, entry = entries[name]
        raw.features.feature[place] = entry.SerializeToString()
    return bytes(raw.SerializeToString())


def _values(change: Change) -> list[tuple[str, Any]]:
    """The features of a box that a change sets."""
    values: list[tuple[str, Any]] = []
    if change.box is not None and change.size is not None:
        x, y, width, height = change.box
        corners = (x, y, x + width, y + height)
        values += [(name, corner / side) for name, corner, side in zip(_SIDES, corners, change.size * 2, strict=True)]
    if change.area is not None:
        values.append(("area", float(change.area)))
    if change.category_id is not None:
        values.append(("class/label", change.category_id))
    if change.category_name is not None:
        values.append(("class/text", change.category_name.encode()))
    return values


def _list(feature: Any) -> Any:
    kind = feature.WhichOneof("kind")
    return getattr(feature, kind).value if kind else []


def _set(feature: Any, index: int, value: Any) -> bool:
    """Set a value where the feature has one of its kind; integers for fractions become fractions."""
    kind, values = feature.WhichOneof("kind"), _list(feature)
    if index >= len(values):
        return False
    if kind == "int64_list" and isinstance(value, float):
        feature.float_list.value.extend(list(map(float, values)))  # of one kind at a time
        values, kind = feature.float_list.value, "float_list"
    if kind != _KINDS[type(value)]:
        return False
    values[index] = value
    return True


def _append(entries: dict[str, tuple[int, Any]], count: int, change: Change, raw: Any) -> set[str]:
    """Append a box to every list that holds one value a box, and to those that a box needs."""
    values = dict(_values(change))
    for name, value in values.items():
        if name not in entries and (count == 0 or name in _SIDES) and name != "area":
            entry = message("Entry")(key=f"{_OBJECT}{name}".encode())
            getattr(entry.value, _KINDS[type(value)]).SetInParent()
            entries[name] = (len(raw.features.feature), entry)
            raw.features.feature.append(b"")
    touched = set()
    for name, (_, entry) in entries.items():
        kind = entry.value.WhichOneof("kind")
        if len(_list(entry.value)) == count:
            kind = kind or _KINDS[type(values.get(name, b""))]
            value = values.get(name, _NOTHING[kind])
            getattr(entry.value, kind).value.append(
                value if isinstance(value, type(_NOTHING[kind])) else _NOTHING[kind]
            )
            touched.add(name)
    return touched

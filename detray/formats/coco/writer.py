"""COCO JSON written back, part by part: what is not changed keeps its very bytes."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from detray.changes import Change, Changes
from detray.formats.json.file import JsonFile, open_json
from detray.formats.json.lists import cut, find_lists
from detray.formats.json.scan import elements
from detray.formats.values import Defects, integer

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_COPY_BYTES = 1 << 20


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its annotations changed, piece by piece.

    Raises:
        DetrayError: it cannot be read.
    """
    file = open_json(path)
    # without an annotation list nothing is changed: a change names a row of it, or an image beside it
    lists = [found for found in find_lists(file, ("images", "annotations", "categories"), exact=True)
             if found.name == "annotations"] if changes else []  # fmt: skip
    position = 0
    for found in lists:
        yield from _copied(file, position, found.start + 1)
        row, is_first = 0, True
        for start, end in cut(file, found, exact=True):
            text = file.read(start, end)
            for first, last in elements(text) or []:
                element = text[first:last]
                change = changes.take(row)
                row += bool(element.strip())
                if element.strip() and (change is None or not change.is_drop):
                    yield (b"" if is_first else b",") + (element if change is None else _changed(element, change))
                    is_first = False
        for change in changes.added:
            yield (b"" if is_first else b",") + msgspec.json.encode(_new(change))
            is_first = False
        position = found.end - 1
    yield from _copied(file, position, file.size)


@dataclass(frozen=True)
class Taking:
    """What is taken of a file.

    Attributes:
        path: the file.
        images, annotations: their places in its lists.
        image_shift, annotation_shift: what is added to ids.
        below: a folder that is put before file names.
    """

    path: str
    images: frozenset[int]
    annotations: frozenset[int]
    image_shift: int = 0
    annotation_shift: int = 0
    below: str = ""


def select(sources: Sequence[Taking]) -> Iterator[bytes]:
    """One file of some images and annotations of several, with all else that the first holds, piece by piece.

    Raises:
        DetrayError: one cannot be read.
    """
    first = open_json(sources[0].path)
    position = 0
    for found in find_lists(first, ("images", "annotations"), exact=True):
        yield from _copied(first, position, found.start + 1)
        is_first = True
        for source in sources:
            for element in _taken(source, found.name):
                yield (b"" if is_first else b",") + element
                is_first = False
        position = found.end - 1
    yield from _copied(first, position, first.size)


def _taken(source: Taking, name: str) -> Iterator[bytes]:
    """The elements of the list ``name`` that are taken."""
    wanted = source.images if name == "images" else source.annotations
    file, row = open_json(source.path), 0
    for found in find_lists(file, ("images", "annotations", "categories"), exact=True):
        for start, end in cut(file, found, exact=True) if found.name == name else ():
            text = file.read(start, end)
            for one, last in elements(text) or []:
                element = text[one:last]
                if element.strip():
                    if row in wanted:
                        yield _moved(element, source, name)
                    row += 1


def _moved(element: bytes, source: Taking, name: str) -> bytes:
    """An element with its ids and its file name as they are in the new file."""
    if not (source.image_shift or source.annotation_shift or source.below):
        return element
    fields, encode = _members(element)
    shifts = {"id": source.image_shift} if name == "images" else {
        "id": source.annotation_shift, "image_id": source.image_shift
    }  # fmt: skip
    for key, shift in shifts.items():
        number = integer(_value(fields.get(key)), key, Defects())
        fields |= {} if number is None else {key: number + shift}  # what is no id remains, for the audit to tell
    file_name = _value(fields.get("file_name"))
    if name == "images" and source.below and isinstance(file_name, str):
        fields["file_name"] = f"{source.below}/{file_name}"
    return encode(fields)


def _value(member: Any) -> Any:
    return json.loads(bytes(member)) if isinstance(member, msgspec.Raw) else member


def _members(element: bytes) -> tuple[dict[str, Any], Callable[[Any], bytes]]:
    """The members of an element as they are written, and what writes them again."""
    try:
        return dict(_FIELDS.decode(element)), msgspec.json.encode
    except msgspec.DecodeError:  # NaN, control characters
        fields = json.loads(element.decode("utf-8", "surrogateescape"), strict=False)
        return fields, lambda found: json.dumps(found, ensure_ascii=True).encode()


def _copied(file: JsonFile, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _COPY_BYTES):
        yield file.read(at, min(at + _COPY_BYTES, end))


def _changed(element: bytes, change: Change) -> bytes:
    """An annotation with some of its members replaced, and the others as they are written."""
    values: dict[str, Any] = {}
    if change.box is not None:
        values["bbox"] = [_number(side) for side in change.box]
    if change.area is not None:
        values["area"] = _number(change.area)
    if change.category_id is not None:
        values["category_id"] = change.category_id
    if change.annotation_id is not None:
        values["id"] = change.annotation_id
    space = element[: len(element) - len(element.lstrip())]
    end = element[len(element.rstrip()) :]
    fields, encode = _members(element)
    if change.loses_mask:
        fields.pop("segmentation", None)
    fields |= {name: value for name, value in values.items() if name != "area" or name in fields}
    return space + encode(fields) + end


def _new(change: Change) -> dict[str, Any]:
    box = [_number(side) for side in change.box or ()]
    return {
        "id": change.annotation_id,
        "image_id": change.image_id,
        "category_id": change.category_id,
        "bbox": box,
        "area": _number(change.area or 0.0),
        "iscrowd": 0,
    }


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() and abs(value) < 1 << 53 else value

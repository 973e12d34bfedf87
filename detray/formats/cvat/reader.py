"""CVAT XML 1.1, "CVAT for images" (docs.cvat.ai, "CVAT for images" and "XML annotation format").

Of boxes that are turned, polygons, ellipses and masks the bounds are read; lines and points are no boxes and counted.
Attributes of a shape are kept in ``attributes``. The labels of the task are its classes, also those without a box.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import pyarrow as pa
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from detray.errors import DetrayError
from detray.files import open_file
from detray.formats import values
from detray.formats.chunk import Chunk
from detray.formats.drawn import Drawn
from detray.formats.format import PLAN
from detray.formats.listing import MAX_BOXES, MAX_FILE_BYTES, too_many
from detray.formats.outline import Numbers, around, bounds, turned
from detray.formats.source import Source
from detray.formats.values import Defects

CHUNK_BYTES = 8 << 20
_HEAD_BYTES = 4096
_WINDOW_BYTES = 1 << 20
_IMAGE = re.compile(rb"<image(?=[\s>/])")
_ROOT = re.compile(rb"<annotations[\s>]")
_LABELS = re.compile(rb"<labels>.*?</labels>", re.DOTALL)
_END = b"</annotations>"
CORNERS = ("xtl", "ytl", "xbr", "ybr")
_KNOWN = ("label", "points", "rotation", "cx", "cy", "rx", "ry", "left", "top", "width", "height", "rle", *CORNERS)

Row = dict[str, Any]


@dataclass(frozen=True)
class Cvat:
    """The format ``cvat``."""

    name = "cvat"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with open_file(path) as file:
            return bool(_ROOT.search(file.read(_HEAD_BYTES)))

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """A chunk is some images of one file; ``part`` is the number of the first."""
        rows = [piece for path in source.annotations for piece in _cut(path)]
        return pa.Table.from_pylist([row | {"chunk": number} for number, row in enumerate(rows)], PLAN)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        (piece,) = pieces.to_pylist()
        found, path = Drawn(source), piece["file"]
        if piece["start"] is None:
            found.lose(path, piece["part"])
            return found.chunk()
        first = int(piece["part"])
        if piece["end"] - piece["start"] > MAX_FILE_BYTES + CHUNK_BYTES:
            found.lose(path, f"longer than {MAX_FILE_BYTES >> 20} MiB", first)
            return found.chunk(path)
        with open_file(path) as file:
            head = b"" if first else file.read(min(piece["start"], MAX_FILE_BYTES))
            file.seek(piece["start"])
            text = file.read(piece["end"] - piece["start"])
        found.listed |= _labels(head)
        starts = [match.start() for match in _IMAGE.finditer(text)]
        for row, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True), first):
            try:
                _read(image_of(text[start:end]), path, row, found)
            except DetrayError as error:
                found.lose(path, str(error), row)
        return found.chunk(path)


def _cut(path: str) -> Iterator[Row]:
    """Parts of whole images of a file."""
    starts, size, tail = starts_of(path)
    if not starts:
        raise DetrayError(
            f"{path}: holds no <image>: XML of CVAT for video has tracks; export the task as 'CVAT for images 1.1'"
        )
    if _END not in tail:
        yield {"file": path, "part": "ends before </annotations>: what stood behind is lost"}
    first = 0
    for number, end in enumerate([*starts[1:], size], 1):
        is_long = end - starts[number - 1] > MAX_FILE_BYTES
        if is_long and first < number - 1:
            yield {"file": path, "part": str(first), "start": starts[first], "end": starts[number - 1]}
            first = number - 1
        if is_long or end - starts[first] >= CHUNK_BYTES or number == len(starts):
            yield {"file": path, "part": str(first), "start": starts[first], "end": end}
            first = number


def starts_of(path: str) -> tuple[list[int], int, bytes]:
    """Where the images of a file begin, its size, and its last bytes."""
    starts: list[int] = []
    base, tail = 0, b""
    try:
        with open_file(path) as file:
            while window := file.read(_WINDOW_BYTES):
                text = tail + window
                starts += [base - len(tail) + match.start() for match in _IMAGE.finditer(text)]
                base += len(window)
                tail = text[-len(b"<image") :]
            file.seek(max(0, base - _HEAD_BYTES))
            return starts, base, file.read()
    except OSError as error:
        raise DetrayError(f"{path}: cannot be read ({error.strerror}); check the file") from None


def image_of(text: bytes) -> Element:
    """An image, of what stands from its start to that of the next or to the end of the file.

    Raises:
        DetrayError: it is not read.
    """
    item = parse(element_text(text))
    if len(item) > MAX_BOXES:
        raise DetrayError(too_many(len(item)))
    return item


def element_text(text: bytes) -> bytes:
    """An image without the end of the file behind it."""
    return text.rstrip().removesuffix(_END)


def parse(text: bytes) -> Element:
    """An element of hostile XML: entities and external references are refused.

    Raises:
        DetrayError: it does not parse.
    """
    try:
        found: Element = fromstring(text)
    except DefusedXmlException as error:
        raise DetrayError(f"XML with entities or external references is not read ({type(error).__name__})") from None
    except (ParseError, ValueError, LookupError) as error:
        raise DetrayError(f"does not parse as XML: {error}") from None
    return found


def _labels(head: bytes) -> set[str]:
    """The names of the task's labels."""
    match = _LABELS.search(head)
    try:
        labels = parse(match[0]).findall("label") if match else []
    except DetrayError:
        return set()
    return {name for label in labels if (name := (label.findtext("name") or "").strip())}


def _read(item: Element, path: str, row: int, found: Drawn) -> None:
    defects = Defects()
    name = values.text(item.get("name") or "", "name", defects)
    size = [
        values.side(values.written_integer(item.get(side), side, defects), side, defects)
        for side in ("width", "height")
    ]
    further: dict[str, Any] = {field: item.get(field) for field in ("subset", "task_id")}
    further["tags"] = [tag.get("label") for tag in item.findall("tag")]
    image = found.image(path, row, name, size, defects, further)
    for shape in item:
        if shape.tag != "tag":
            _add(found, image, shape)


def _add(found: Drawn, image: Row, shape: Element) -> None:
    defects = Defects()
    box = box_of(shape, defects)
    if box is None:
        found.skip(shape.tag)
        return
    further: dict[str, Any] = {name: text for name, text in shape.attrib.items() if name not in _KNOWN}
    further |= {one.get("name") or "": (one.text or "").strip() for one in shape.findall("attribute")}
    name = values.text((shape.get("label") or "").strip(), "label", defects)
    found.box(image, name, box[:4], defects, polygon=box[4:], attributes=further)


def box_of(shape: Element, defects: Defects) -> Numbers | None:
    """x, y, width, height, and the points of a polygon behind them; None for what is no box."""

    def get(*names: str) -> Numbers:
        return [values.written_number(shape.get(name), name, defects) for name in names]

    if shape.tag == "box":
        x, y, right, bottom = get(*CORNERS)
        width = None if x is None or right is None else right - x
        height = None if y is None or bottom is None else bottom - y
        return _turned([x, y, width, height], shape, defects)
    if shape.tag == "ellipse":
        return _turned(around(get("cx", "cy"), get("rx", "ry")), shape, defects)
    if shape.tag == "mask":
        return get("left", "top", "width", "height")
    if shape.tag != "polygon":
        return None
    pairs = [pair.split(",") for pair in (shape.get("points") or "").split(";") if pair.strip()]
    if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
        defects.note("box-arity", "points", shape.get("points") or "")
        return [None] * 4
    drawn = [
        values.written_number(text, f"points[{place}]", defects) for place, pair in enumerate(pairs) for text in pair
    ]
    return [*bounds(drawn), *drawn]


def _turned(box: Numbers, shape: Element, defects: Defects) -> Numbers:
    """A box, turned about its centre where the shape says so."""
    stated = shape.get("rotation")
    degrees = values.written_number(stated, "rotation", defects) if stated is not None else None
    x, y, width, height = box
    if not degrees or x is None or y is None or width is None or height is None:
        return box
    drawn = turned(box, degrees, (x + width / 2, y + height / 2))
    return [*bounds(drawn), *drawn]

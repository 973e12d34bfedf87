"""Pascal VOC: one XML file an image (host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf, section 4).

x is xmin and width is xmax - xmin, without the plus or minus one of the original's inclusive
corners. Other elements of an object (pose, truncated, part, actions, ...) and of an image (folder,
source, segmented, ...) are kept in ``attributes``.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.etree.ElementTree import fromstring as without_entities

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from detray.arrays import Flags, Floats, Ints
from detray.errors import DetrayError
from detray.files import Inside, open_file
from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.listing import (
    MAX_BOXES,
    MAX_FILE_BYTES,
    file_plan,
    files_below,
    listed_names,
    read_bounded,
    too_many,
)
from detray.formats.source import OUTSIDE, Source, locate
from detray.formats.values import Defects
from detray.formats.voc.plain import CORNERS, Objects, PlainObjects

_KNOWN = ("filename", "object", "name", "bndbox", "difficult")
_MAX_DEPTH = 8
_HEAD_BYTES = 4096
_ENCODER = json.JSONEncoder(ensure_ascii=False)

Row = dict[str, Any]
Box = tuple[str | None, float | None, float | None, float | None, float | None, bool, str | None, Defects | None]
"""Class, xmin, ymin, xmax, ymax, whether it is difficult, further elements as JSON, defects."""


@dataclass(frozen=True)
class Voc:
    """The format ``voc``."""

    name = "voc"
    has_ids = False
    applies_list = True

    def recognises(self, path: Path) -> bool:
        if path.is_dir():
            if (path / "Annotations").is_dir():
                path = path / "Annotations"
            return any(self.recognises(file) for file in islice(path.glob("*.xml"), 10) if file.is_file())
        if path.suffix.lower() != ".xml":
            return False
        with open_file(path) as file:
            head = file.read(_HEAD_BYTES).replace(b"\0", b"")  # of UTF-16 every other byte
            return re.search(rb"<annotation[\s/>]", head) is not None

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """A chunk is some files, in the order of their names."""
        files: list[str] = []
        for stated in source.annotations:
            folder = Path(stated)
            if folder.is_file():
                files.append(stated)
                continue
            if (folder / "Annotations").is_dir():
                folder = folder / "Annotations"
            if source.list is None:
                files += files_below(str(folder), ".xml")
            else:
                stems = (str(Path(name).with_suffix("")) if name.endswith((".jpg", ".xml", ".png")) else name
                         for name in listed_names(source.list))  # fmt: skip
                files += sorted(f"{folder}/{stem}.xml" for stem in stems)
        return file_plan(files)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        images: list[Row] = []
        boxes: list[Box] = []
        files: list[int] = []
        plain = PlainObjects()
        quarantine: list[Row] = []
        inside = Inside(source.folders)
        for path in pieces["file"].to_pylist():
            try:
                data = _content(path, source, inside)
                found = _plain(data, plain)
                root, objects = found or (parse_xml(data), [])
                others = [] if found else root.findall("object")
                if len(others) > MAX_BOXES:
                    raise DetrayError(too_many(len(others)))
            except DetrayError as error:
                quarantine.append({"source_file": path, "reason": "unreadable-annotation-file", "detail": str(error)})
                continue
            plain.add(len(images), objects)
            boxes += [_box(item) for item in others]
            files += [len(images)] * len(others)
            images.append(_image(root, path))
        annotations = _annotations(images, files, boxes, plain)
        names = pc.unique(annotations["category_name"].cast(pa.string()).drop_null()).to_pylist()
        return Chunk(
            images=pa.Table.from_pylist(images, chunk.IMAGES),
            annotations=annotations,
            categories=pa.Table.from_pylist([{"category_name": name} for name in sorted(names)], chunk.CATEGORIES),
            quarantine=pa.Table.from_pylist(quarantine, chunk.QUARANTINE),
        )


def _content(path: str, source: Source, inside: Inside) -> bytes:
    data = inside.read(path, MAX_FILE_BYTES + 1)
    if data is not None and len(data) <= MAX_FILE_BYTES:
        return data
    folder, _, name = path.rpartition("/")
    if locate(folder, name, inside.allowed) is None and path not in source.annotations:
        raise DetrayError(OUTSIDE)
    return read_bounded(path)


def _plain(data: bytes, plain: PlainObjects) -> tuple[Element, Objects] | None:
    """The ``annotation`` element without its objects, and these; None where they have to be read one by one."""
    if _may_declare(data) or (found := plain.take(data, MAX_BOXES)) is None:
        return None
    left, objects = found
    try:
        root = parse_xml(left)
    except DetrayError:  # which is to be said of the file as it is
        return None
    return (root, objects) if len(root.findall("object")) == 1 else None


_ENCODING = re.compile(rb"""encoding\s*=\s*["']([\w.-]+)""")


def _may_declare(data: bytes) -> bool:
    """Whether a file may declare entities: it can only within <!DOCTYPE, if that is to be seen in its encoding."""
    stated = _ENCODING.search(data, 0, data.find(b"?>")) if b"<?xml" in data[:8] else None
    is_plain = b"\0" not in data[:4] and (stated is None or stated[1].lower() in (b"utf-8", b"us-ascii", b"iso-8859-1"))
    return not is_plain or b"<!DOCTYPE" in data


def parse_xml(data: bytes) -> Element:
    """The ``annotation`` element of hostile XML: entities and external references are refused.

    Raises:
        DetrayError: it does not parse, or is another kind of document.
    """
    try:
        # a file without <!DOCTYPE declares nothing, and the parser in C is five times as fast
        root: Element = fromstring(data) if _may_declare(data) else without_entities(data)  # noqa: S314
    except DefusedXmlException as error:
        raise DetrayError(f"XML with entities or external references is not read ({type(error).__name__})") from None
    except (ParseError, ValueError, LookupError) as error:
        raise DetrayError(f"does not parse as XML: {error}") from None
    if root.tag != "annotation":
        raise DetrayError(f"its outermost element is <{values.describe(root.tag)}>, not <annotation>")
    return root


def _image(root: Element, path: str) -> Row:
    defects = Defects()
    _note_repeated(root, ("filename", "size"), defects)
    name = (root.findtext("filename") or "").strip()
    if not name:
        defects.note("missing-field", "filename", "")
        name = f"{Path(path).stem}.jpg"
    size = root.find("size")
    if size is None:
        defects.note("missing-field", "size", "")
    else:
        _note_repeated(size, ("width", "height"), defects, "size/")
    sides = {side: None if size is None else _side(size, side, defects) for side in ("width", "height")}
    return {
        "file_name": name,
        **sides,
        "image_row": 0,
        "source_file": path,
        "attributes": _further(root),
        "defects": defects.or_none(),
        "key": f"{name}\0{path}",
    }


def _further(item: Element) -> str | None:
    """The elements that have no column as a JSON object; None if there is none."""
    found = _children(item, 0)
    if isinstance(size := found.get("size"), dict):
        size = found["size"] = {name: value for name, value in size.items() if name not in ("width", "height")}
    found = {name: value for name, value in found.items() if value}
    return _ENCODER.encode(found) if found else None


def _children(item: Element, depth: int) -> dict[str, Any]:
    """Attributes and elements by name, a list of those that have one name; at depth 0 those without a column."""
    found: dict[str, list[Any]] = {f"@{name}": [text] for name, text in item.attrib.items()}
    for child in item:
        if not depth and child.tag in _KNOWN:
            continue
        deeper = (len(child) or child.attrib) and depth < _MAX_DEPTH
        found.setdefault(child.tag, []).append(_children(child, depth + 1) if deeper else (child.text or "").strip())
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in found.items()}


def _note_repeated(item: Element, names: Sequence[str], defects: Defects, prefix: str = "") -> None:
    """Note which of the elements that are read once, the first, stand in ``item`` several times."""
    tags = [child.tag for child in item]
    if len(set(tags)) == len(tags):
        return
    for name in names:
        if tags.count(name) > 1:
            texts = (" ".join(" ".join(found.itertext()).split()) for found in item.findall(name))
            defects.note("repeated-field", f"{prefix}{name}", ", then ".join(texts))


def _side(size: Element, name: str, defects: Defects) -> int | None:
    return values.side(values.written_integer(size.findtext(name), f"size/{name}", defects), f"size/{name}", defects)


def _annotations(images: list[Row], files: list[int], boxes: list[Box], plain: PlainObjects) -> pa.Table:
    """The boxes of images: those that are plain, and others, with the number of the image of each."""
    parts = [
        _table(images, part.file, part.row, part.corners, part.name, part.difficult, part.further)
        for part in plain.columns()
    ]
    if boxes:
        name, x, y, right, bottom, difficult, further, defects = zip(*boxes, strict=True)
        of = np.array(files, np.int64)
        corners = np.array([x, y, right, bottom], np.float64)  # NaN where None
        row = np.arange(len(of)) - np.searchsorted(of, of)
        columns = pa.array(name, pa.string()), np.array(difficult, bool), pa.array(further, pa.string())
        parts.append(_table(images, of, row, corners, *columns, list(defects) if any(defects) else None))
    if len(parts) <= 1:
        return parts[0] if parts else chunk.ANNOTATIONS.empty_table()
    order = np.argsort(np.concatenate([*(part.file for part in plain.columns()), files]), kind="stable")
    return pa.concat_tables(parts).unify_dictionaries().take(order)


def _table(
    images: list[Row],
    of: Ints,
    row: Ints,
    corners: Floats,
    name: pa.Array,
    difficult: Flags,
    further: pa.Array,
    defects: list[Defects | None] | None = None,
) -> pa.Table:
    """Boxes as `chunk.ANNOTATIONS`; ``of``: the number of the image of each."""
    with np.errstate(over="ignore", invalid="ignore"):
        sides = corners[2:] - corners[:2]
        numbers = dict(
            zip(("x", "y", "width", "height", "area"), (*corners[:2], *sides, sides[0] * sides[1]), strict=True)
        )
    texts = {key: pa.array([image[key] for image in images], pa.string()) for key in ("source_file", "key")}
    return chunk.table(
        chunk.ANNOTATIONS,
        len(of),
        annotation_row=row,
        **{key: pa.array(found, pa.float64(), mask=np.isnan(found)) for key, found in numbers.items()},
        is_crowd=np.zeros(len(of), bool),
        is_difficult=difficult,
        source_file=pa.DictionaryArray.from_arrays(pa.array(of, pa.int32()), texts["source_file"]),
        attributes=further,
        defects=defects,
        key=texts["key"].take(pa.array(of)),
        category_name=name.dictionary_encode(),
    )


def _box(item: Element) -> Box:
    defects = Defects()
    _note_repeated(item, ("name", "bndbox", "difficult"), defects)
    name = (item.findtext("name") or "").strip()
    if not name:
        defects.note("missing-field", "name", "")
    found = item.find("bndbox")
    if found is None:
        defects.note("missing-field", "bndbox", "")
        corners: list[float | None] = [None] * 4
    else:
        _note_repeated(found, CORNERS, defects, "bndbox/")
        corners = [values.written_number(found.findtext(side), f"bndbox/{side}", defects) for side in CORNERS]
    difficult = (item.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        defects.note("wrong-type", "difficult", difficult)
    x, y, right, bottom = corners
    return name or None, x, y, right, bottom, difficult == "1", _further(item), defects.or_none()

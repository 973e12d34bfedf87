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

import pyarrow as pa
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from detray.errors import DetrayError
from detray.files import open_file
from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.listing import MAX_BOXES, file_plan, files_below, listed_names, read_bounded, too_many
from detray.formats.source import OUTSIDE, Source, locate
from detray.formats.values import Defects

CORNERS = ("xmin", "ymin", "xmax", "ymax")
_KNOWN = ("filename", "object", "name", "bndbox", "difficult")
_MAX_DEPTH = 8
_HEAD_BYTES = 4096

Row = dict[str, Any]


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
        boxes: list[Row] = []
        quarantine: list[Row] = []
        allowed = source.folders
        for path in pieces["file"].to_pylist():
            folder, _, name = path.rpartition("/")
            try:
                if locate(folder, name, allowed) is None and path not in source.annotations:
                    raise DetrayError(OUTSIDE)
                root = parse_xml(read_bounded(path))
                objects = root.findall("object")
                if len(objects) > MAX_BOXES:
                    raise DetrayError(too_many(len(objects)))
            except DetrayError as error:
                quarantine.append({"source_file": path, "reason": "unreadable-annotation-file", "detail": str(error)})
                continue
            image = _image(root, path)
            images.append(image)
            boxes += [_box(item, row, image) for row, item in enumerate(objects)]
        return Chunk(
            images=pa.Table.from_pylist(images, chunk.IMAGES),
            annotations=pa.Table.from_pylist(boxes, chunk.ANNOTATIONS),
            categories=pa.Table.from_pylist(
                [{"category_name": name} for name in sorted({b["category_name"] for b in boxes if b["category_name"]})],
                chunk.CATEGORIES,
            ),
            quarantine=pa.Table.from_pylist(quarantine, chunk.QUARANTINE),
        )


def parse_xml(data: bytes) -> Element:
    """The ``annotation`` element of hostile XML: entities and external references are refused.

    Raises:
        DetrayError: it does not parse, or is another kind of document.
    """
    try:
        root: Element = fromstring(data)
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
    found = {name: value for name, value in _children(item, 0).items() if name not in _KNOWN}
    if isinstance(size := found.get("size"), dict):
        size = found["size"] = {name: value for name, value in size.items() if name not in ("width", "height")}
    found = {name: value for name, value in found.items() if value}
    return json.dumps(found, ensure_ascii=False) if found else None


def _children(item: Element, depth: int) -> dict[str, Any]:
    """Attributes and elements by name, a list of those that have one name."""
    found: dict[str, list[Any]] = {f"@{name}": [text] for name, text in item.attrib.items()}
    for child in item:
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


def _box(item: Element, row: int, image: Row) -> Row:
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
    x, y, right, bottom = corners
    width = None if x is None or right is None else right - x
    height = None if y is None or bottom is None else bottom - y
    difficult = (item.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        defects.note("wrong-type", "difficult", difficult)
    return {
        "annotation_row": row,
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "area": None if width is None or height is None else width * height,
        "is_crowd": False,
        "is_difficult": difficult == "1",
        "source_file": image["source_file"],
        "attributes": _further(item),
        "defects": defects.or_none(),
        "key": image["key"],
        "category_name": name or None,
    }

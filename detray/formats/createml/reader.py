"""CreateML JSON: a list of images, boxes in pixels around their centre (developer.apple.com/documentation/createml,
"Building an object detector data source").

Sizes of pictures are not stated: they are read from the image folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from detray.errors import DetrayError
from detray.formats import values
from detray.formats.chunk import Chunk
from detray.formats.drawn import Drawn, read_records
from detray.formats.json import whole
from detray.formats.source import Source
from detray.formats.values import Defects

_IMAGE = ("image", "imagefilename")
_BOXES = ("annotations", "annotation")
_KNOWN_BOX = ("label", "coordinates")


@dataclass(frozen=True)
class CreateMl:
    """The format ``createml``."""

    name = "createml"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        found = whole.keys(str(path), 2) if path.is_file() else set()
        return not found.isdisjoint(_IMAGE) and not found.isdisjoint(_BOXES) and "data" not in found

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """As `whole.plan`, a record an image."""
        return whole.plan(source, whole.elements)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        return read_records(source, pieces, whole.elements, _read)


def _read(value: Any, path: str, row: int, found: Drawn) -> None:
    _, boxes = boxes_of(value)
    defects = Defects()
    name = values.text_of(value, next((name for name in _IMAGE if name in value), _IMAGE[0]), defects)
    further = {name: value[name] for name in value if name not in (*_IMAGE, *_BOXES)}
    image = found.image(path, row, name, (None, None), defects, further)
    for box in boxes:
        _add(found, image, box)


def boxes_of(value: Any) -> tuple[str, list[Any]]:
    """The boxes of an image, and the field that they stand in.

    Raises:
        DetrayError: it is no image.
    """
    if not isinstance(value, dict):
        raise DetrayError("is no object with image and annotations")
    name = next((name for name in _BOXES if value.get(name) is not None), _BOXES[0])
    boxes = [] if value.get(name) is None else value[name]
    if not isinstance(boxes, list):
        raise DetrayError("its annotations are no list")
    return name, boxes


def _add(found: Drawn, image: dict[str, Any], value: Any) -> None:
    defects = Defects()
    row = value if isinstance(value, dict) else {}
    name = values.text_of(row, "label", defects)
    sides: list[float | None] = [None] * 4
    if values.has(row, "coordinates", defects):
        if isinstance(row["coordinates"], dict):
            sides = [values.number_of(row["coordinates"], side, defects) for side in ("x", "y", "width", "height")]
        else:
            defects.note("wrong-type", "coordinates", row["coordinates"])
    x, y, width, height = sides
    left = None if x is None or width is None else x - width / 2
    top = None if y is None or height is None else y - height / 2
    further = {field: row[field] for field in row if field not in _KNOWN_BOX}
    found.box(image, name, [left, top, width, height], defects, attributes=further)

"""LabelMe JSON: a file an image (wkentaro/labelme, labelme/_label_file.py).

A rectangle is any two opposite corners; polygons keep their points as segmentation; of circles and masks the bounds are
read. Points and lines are no boxes and counted. Further fields of a shape (group_id, flags, description, ...) are kept
in ``attributes``.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from detray.errors import DetrayError
from detray.formats import values
from detray.formats.chunk import Chunk
from detray.formats.drawn import Drawn
from detray.formats.json import whole
from detray.formats.listing import MAX_BOXES, file_plan, files_below, too_many
from detray.formats.outline import Numbers, around, bounds, distance, points
from detray.formats.source import OUTSIDE, Source, locate
from detray.formats.values import Defects

MAX_FILE_BYTES = 64 << 20
"""A file may hold its picture as text."""
_BESIDE = ("imagePath", "imageHeight", "version", "flags")
_KNOWN_SHAPE = ("label", "points", "shape_type", "difficult", "mask")
_KNOWN_IMAGE = ("version", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")
OUTLINES = ("polygon", "rotation", "oriented_rectangle")

Row = dict[str, Any]


@dataclass(frozen=True)
class LabelMe:
    """The format ``labelme``."""

    name = "labelme"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        if path.is_dir():
            return any(self.recognises(file) for file in islice(path.glob("*.json"), 10) if file.is_file())
        found = whole.keys(str(path))
        return "imageData" in found or ("shapes" in found and not found.isdisjoint(_BESIDE))

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """A chunk is some files, in the order of their names."""
        files: list[str] = []
        for stated in source.annotations:
            files += files_below(stated, ".json") if Path(stated).is_dir() else [stated]
        return file_plan(files)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        found = Drawn(source)
        allowed = source.folders
        for path in pieces["file"].to_pylist():
            folder, _, name = path.rpartition("/")
            try:
                if path not in source.annotations and locate(folder, name, allowed) is None:
                    raise DetrayError(OUTSIDE)
                _read(path, found)
            except DetrayError as error:
                found.lose(path, str(error))
        return found.chunk()


def _read(path: str, found: Drawn) -> None:
    value = whole.value_of(whole.read_text(path, MAX_FILE_BYTES))
    shapes = shapes_of(value)
    defects = Defects()
    name = values.text_of(value, "imagePath", defects) or f"{Path(path).stem}.jpg"
    size = [
        values.side(values.integer_of(value, side, defects), side, defects) for side in ("imageWidth", "imageHeight")
    ]
    further = {name: value[name] for name in value if name not in _KNOWN_IMAGE}
    image = found.image(path, 0, name, size, defects, further)
    for row, shape in enumerate(shapes):
        _add(found, image, row, shape)


def shapes_of(value: Any) -> list[Any]:
    """What is drawn in an image.

    Raises:
        DetrayError: it is no LabelMe file.
    """
    shapes = value.get("shapes") if isinstance(value, dict) else None
    if not isinstance(shapes, list):
        raise DetrayError("has no list 'shapes', so it is no LabelMe file")
    if len(shapes) > MAX_BOXES:
        raise DetrayError(too_many(len(shapes)))
    return shapes


def _add(found: Drawn, image: Row, row: int, shape: Any) -> None:
    defects = Defects()
    if not isinstance(shape, dict):
        defects.note("wrong-type", "", shape)
        found.box(image, None, [None] * 4, defects, annotation_row=row)
        return
    kind = kind_of(shape)
    box = _box(kind, shape, defects)
    if box is None:
        found.skip(kind)
        return
    found.box(
        image,
        values.text_of(shape, "label", defects),
        box[:4],
        defects,
        polygon=box[4:],
        attributes={name: shape[name] for name in shape if name not in _KNOWN_SHAPE},
        annotation_row=row,
        is_difficult=values.flag(shape.get("difficult"), "difficult", defects),
    )


def kind_of(shape: Row) -> Any:
    """The type of a shape; early files state none."""
    corners = shape.get("points")
    return shape.get("shape_type") or ("rectangle" if isinstance(corners, list) and len(corners) == 2 else "polygon")


def _box(kind: Any, shape: Row, defects: Defects) -> Numbers | None:
    """x, y, width, height, and the points of a polygon behind them; None for what is no box."""
    if kind not in ("rectangle", "circle", "mask", *OUTLINES):
        return None
    if not values.has(shape, "points", defects):
        return [None] * 4
    drawn = points(shape["points"], "points", defects)
    if kind in OUTLINES and len(drawn) >= 6:
        return [*bounds(drawn), *drawn]
    if kind in ("rectangle", "mask") and len(drawn) in (4, 8):
        return bounds(drawn)
    if kind == "circle" and len(drawn) == 4:
        return around(drawn[:2], [distance(drawn)] * 2)
    if drawn or shape["points"] == []:
        defects.note("box-arity", "points", f"{len(drawn) // 2} points of a {kind}")
    return [None] * 4

"""VIA JSON: a project of the VGG Image Annotator 2.x or its export of regions (robots.ox.ac.uk/~vgg/software/via).

The class is the attribute of a region that is called so (class, label, name, ...), else its only or first one. Sizes
of pictures are not stated: they are read from the image folder. Points and lines are no boxes and counted.
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
from detray.formats.json.whole import Record
from detray.formats.outline import Numbers, around, bounds
from detray.formats.source import Source
from detray.formats.values import Defects

_PROJECT = "_via_img_metadata"
_CLASS = ("class", "label", "name", "type", "category", "object", "class_name")

Row = dict[str, Any]


@dataclass(frozen=True)
class Via:
    """The format ``via``."""

    name = "via"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        if not path.is_file():
            return False
        return _PROJECT in whole.keys(str(path)) or {"filename", "regions"} <= whole.keys(str(path), 2)

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """As `whole.plan`, a record an image."""
        return whole.plan(source, _images)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        return read_records(source, pieces, _images, _read)


def _images(text: bytes) -> list[Record]:
    """The images of a project, or of an export."""
    found = whole.fields(text)
    if _PROJECT in found:
        found = whole.fields(found[_PROJECT])
    return [record for name, record in found.items() if not name.startswith("_via_")]


def _read(value: Any, path: str, row: int, found: Drawn) -> None:
    if not isinstance(value, dict):
        raise DetrayError("is no object with filename and regions")
    regions = value.get("regions") or []
    regions = list(regions.values()) if isinstance(regions, dict) else regions
    if not isinstance(regions, list):
        raise DetrayError("its regions are no list")
    defects = Defects()
    name = values.text_of(value, "filename", defects)
    further = value.get("file_attributes")
    image = found.image(path, row, name, (None, None), defects, further if isinstance(further, dict) else None)
    for region in regions:
        _add(found, image, region)


def _add(found: Drawn, image: Row, region: Any) -> None:
    defects = Defects()
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        defects.note("missing-field", "shape_attributes", region)
        found.box(image, None, [None] * 4, defects)
        return
    box = _box(shape, defects)
    if box is None:
        found.skip(shape.get("name"))
        return
    name, further = _class(region.get("region_attributes"), defects)
    found.box(image, name, box[:4], defects, polygon=box[4:], attributes=further)


def _box(shape: Row, defects: Defects) -> Numbers | None:
    """x, y, width, height, and the points of a polygon behind them; None for what is no box."""

    def get(*names: str) -> Numbers:
        return [values.number_of(shape, name, defects) for name in names]

    kind = shape.get("name")
    if kind == "rect":
        return get("x", "y", "width", "height")
    if kind == "polygon":
        axes = [_numbers(shape, name, defects) for name in ("all_points_x", "all_points_y")]
        if len(axes[0]) != len(axes[1]) or len(axes[0]) < 3:
            defects.note("box-arity", "all_points_x", f"{len(axes[0])} and {len(axes[1])} numbers of a polygon")
            return [None] * 4
        drawn = [side for point in zip(*axes, strict=True) for side in point]
        return [*bounds(drawn), *drawn]
    if kind in ("circle", "ellipse"):
        return around(get("cx", "cy"), get("r") * 2 if kind == "circle" else get("rx", "ry"))
    return None


def _numbers(shape: Row, name: str, defects: Defects) -> Numbers:
    if not values.has(shape, name, defects):
        return []
    if not isinstance(shape[name], list):
        defects.note("wrong-type", name, shape[name])
        return []
    return [values.number(value, f"{name}[{place}]", defects) for place, value in enumerate(shape[name])]


def _class(stated: Any, defects: Defects) -> tuple[str | None, Row]:
    """The class among a region's attributes, and the others."""
    if not isinstance(stated, dict) or not stated:
        defects.note("missing-field", "region_attributes", stated or "")
        return None, {}
    named = [name for name in stated if name.strip().lower() in _CLASS]
    field = named[0] if named else next(iter(stated))
    value = stated[field]
    if isinstance(value, dict):  # a checkbox: {"cat": true}
        value = next((name for name, is_set in value.items() if is_set), "")
    name = values.text(value.strip() if isinstance(value, str) else value, f"region_attributes/{field}", defects)
    return name, {other: stated[other] for other in stated if other != field}

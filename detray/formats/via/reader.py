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

PROJECT, OWN = "_via_img_metadata", "_via_"
"""Where a project has its images, and how the names of its own fields begin."""
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
        return PROJECT in whole.keys(str(path)) or {"filename", "regions"} <= whole.keys(str(path), 2)

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """As `whole.plan`, a record an image."""
        return whole.plan(source, _images)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        return read_records(source, pieces, _images, _read)


def _images(text: bytes) -> list[Record]:
    """The images of a project, or of an export."""
    found = whole.fields(text)
    if PROJECT in found:
        found = whole.fields(found[PROJECT])
    return [record for name, record in found.items() if not name.startswith(OWN)]


def _read(value: Any, path: str, row: int, found: Drawn) -> None:
    regions = regions_of(value)
    defects = Defects()
    name = values.text_of(value, "filename", defects)
    further = value.get("file_attributes")
    image = found.image(path, row, name, (None, None), defects, further if isinstance(further, dict) else None)
    for region in regions.values():
        _add(found, image, region)


def regions_of(value: Any) -> dict[Any, Any]:
    """What is drawn in an image, by number or key.

    Raises:
        DetrayError: it is no image.
    """
    if not isinstance(value, dict):
        raise DetrayError("is no object with filename and regions")
    regions = value.get("regions") or []
    if not isinstance(regions, list | dict):
        raise DetrayError("its regions are no list")
    return regions if isinstance(regions, dict) else dict(enumerate(regions))


def _add(found: Drawn, image: Row, region: Any) -> None:
    defects = Defects()
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        defects.note("missing-field", "shape_attributes", region)
        found.box(image, None, [None] * 4, defects)
        return
    box = box_of(shape, defects)
    if box is None:
        found.skip(shape.get("name"))
        return
    name, further = _class(region.get("region_attributes"), defects)
    found.box(image, name, box[:4], defects, polygon=box[4:], attributes=further)


def box_of(shape: Row, defects: Defects) -> Numbers | None:
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


def class_field(stated: Row) -> str:
    """Which of a region's attributes, of which there are some, is its class."""
    named = [name for name in stated if name.strip().lower() in _CLASS]
    return str(named[0] if named else next(iter(stated)))


def _class(stated: Any, defects: Defects) -> tuple[str | None, Row]:
    """The class among a region's attributes, and the others."""
    if not isinstance(stated, dict) or not stated:
        defects.note("missing-field", "region_attributes", stated or "")
        return None, {}
    field = class_field(stated)
    value = stated[field]
    if isinstance(value, dict):  # a checkbox: {"cat": true}
        value = next((name for name, is_set in value.items() if is_set), "")
    name = values.text(value.strip() if isinstance(value, str) else value, f"region_attributes/{field}", defects)
    return name, {other: stated[other] for other in stated if other != field}

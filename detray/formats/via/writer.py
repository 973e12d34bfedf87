"""VIA JSON written back."""

from collections.abc import Callable, Iterator, Set
from typing import Any

from detray.changes import Change, Changes
from detray.formats.byte_edits import Edit
from detray.formats.json.places import Path, Place, put, relist
from detray.formats.json.rewriting import Drawing, rewrite_drawing, select_records
from detray.formats.outline import redrawn
from detray.formats.values import Defects
from detray.formats.via.reader import OWN, PROJECT, box_of, class_field, regions_of

_AXES = ("all_points_x", "all_points_y")


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its regions changed."""
    return rewrite_drawing(path, changes, _DRAWING)


def select(path: str, kept: Set[int]) -> Iterator[bytes]:
    """A file with some of its images only."""
    return select_records(path, kept, _images)


def _images(top: Place) -> tuple[Place, list[str | int]]:
    images = top.at((PROJECT,)) or top
    return images, [name for name in images.spans if not str(name).startswith(OWN)]


def _records(top: Place) -> list[Place]:
    images, names = _images(top)
    return [found for name in names if (found := images.at((name,)))]


def _boxes(value: Any) -> list[Path]:
    return [("regions", key) for key, region in regions_of(value).items() if _is_box(region)]


def _is_box(region: Any) -> bool:
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    return not isinstance(shape, dict) or box_of(shape, Defects()) is not None


def _change(place: Place, region: Any, change: Change) -> Iterator[Edit]:
    if change.category_name is not None:
        yield _relabelled(place, region.get("region_attributes"), change.category_name)
    shape = place.at(("shape_attributes",))
    if change.box is not None and shape is not None:
        yield from _redrawn(shape, region["shape_attributes"], change.box)


def _relabelled(place: Place, stated: Any, name: str) -> Edit:
    attributes = place.at(("region_attributes",))
    if attributes is None or not isinstance(stated, dict) or not stated:
        return put(place, "region_attributes", {"class": name})
    field = class_field(stated)
    return put(attributes, field, {name: True} if isinstance(stated[field], dict) else name)


def _redrawn(shape: Place, stated: dict[str, Any], box: tuple[float, ...]) -> Iterator[Edit]:
    kind, (x, y, width, height) = stated["name"], box
    if kind == "polygon":
        drawn = redrawn([side for point in zip(*(stated[name] for name in _AXES), strict=True) for side in point], box)
        sides: dict[str, Any] = {name: drawn[axis::2] for axis, name in enumerate(_AXES)}
    elif kind == "rect":
        sides = dict(zip(("x", "y", "width", "height"), box, strict=True))
    else:
        sides = {"cx": x + width / 2, "cy": y + height / 2}
        if kind == "circle" and width == height:
            sides["r"] = width / 2
        else:
            sides |= {"rx": width / 2, "ry": height / 2}
        if kind == "circle" and width != height:
            yield put(shape, "name", "ellipse")
            yield from relist(shape, {"r"})
    for name, value in sides.items():
        if value != stated.get(name):
            yield put(shape, name, value)


def _new(value: Any, change: Change, values: Callable[[], Iterator[Any]]) -> tuple[Path, Any]:
    x, y, width, height = change.box or (0.0, 0.0, 0.0, 0.0)
    return ("regions",), {
        "shape_attributes": {"name": "rect", "x": x, "y": y, "width": width, "height": height},
        "region_attributes": {_class_field(values()): change.category_name},
    }


def _class_field(values: Iterator[Any]) -> str:
    """What the file calls the class."""
    for value in values:
        for region in regions_of(value).values() if isinstance(value, dict) else ():
            stated = region.get("region_attributes") if isinstance(region, dict) else None
            if isinstance(stated, dict) and stated:
                return class_field(stated)
    return "class"


_DRAWING = Drawing(_records, _boxes, _change, _new)

"""LabelMe JSON written back."""

from collections.abc import Callable, Iterator
from typing import Any

from detray.changes import Change, Changes
from detray.formats.byte_edits import Edit
from detray.formats.json.places import Path, Place, put
from detray.formats.json.rewriting import Drawing, rewrite_drawing
from detray.formats.labelme.reader import OUTLINES, kind_of, shapes_of
from detray.formats.outline import points, redrawn
from detray.formats.values import Defects


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its shapes changed."""
    return rewrite_drawing(path, changes, _DRAWING)


def _boxes(value: Any) -> list[Path]:
    # a shape that is no box has its number all the same
    return [("shapes", number) for number in range(len(shapes_of(value)))]


def _change(place: Place, shape: Any, change: Change) -> Iterator[Edit]:
    if change.category_name is not None:
        yield put(place, "label", change.category_name)
    if change.box is None:
        return
    drawn = [side for side in points(shape.get("points"), "points", Defects()) if side is not None]
    kind = kind_of(shape)
    if len(drawn) >= 6 and kind in (*OUTLINES, "rectangle"):
        yield put(place, "points", _pairs(redrawn(drawn, change.box)))
        if kind in OUTLINES[1:]:
            yield put(place, "shape_type", OUTLINES[0])
        return
    x, y, width, height = change.box
    corners = [x, y, x + width, y + height]
    if kind == "rectangle":  # any two opposite corners: in the order in which they stand
        for axis in (0, 1):
            if drawn[axis] > drawn[axis + 2]:
                corners[axis], corners[axis + 2] = corners[axis + 2], corners[axis]
    else:
        yield put(place, "shape_type", "rectangle")
        if shape.get("mask") is not None:
            yield put(place, "mask", None)
    yield put(place, "points", _pairs(corners))


def _pairs(numbers: list[float]) -> list[list[float]]:
    return [numbers[at : at + 2] for at in range(0, len(numbers), 2)]


def _new(value: Any, change: Change, values: Callable[[], Iterator[Any]]) -> tuple[Path, Any]:
    x, y, width, height = change.box or (0.0, 0.0, 0.0, 0.0)
    return ("shapes",), {
        "label": change.category_name,
        "points": [[x, y], [x + width, y + height]],
        "group_id": None,
        "shape_type": "rectangle",
        "flags": {},
    }


_DRAWING = Drawing(lambda top: [top], _boxes, _change, _new)

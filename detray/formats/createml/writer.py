"""CreateML JSON written back."""

from collections.abc import Callable, Iterator, Set
from typing import Any

from detray.changes import Change, Changes
from detray.formats.byte_edits import Edit
from detray.formats.createml.reader import boxes_of
from detray.formats.json.places import Path, Place, put
from detray.formats.json.rewriting import Drawing, rewrite_drawing, select_records


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its boxes changed."""
    return rewrite_drawing(path, changes, _DRAWING)


def select(path: str, kept: Set[int]) -> Iterator[bytes]:
    """A file with some of its images only."""
    return select_records(path, kept, lambda top: (top, list(top.spans)))


def _boxes(value: Any) -> list[Path]:
    name, boxes = boxes_of(value)
    return [(name, number) for number in range(len(boxes))]


def _change(place: Place, box: Any, change: Change) -> Iterator[Edit]:
    if change.category_name is not None:
        yield put(place, "label", change.category_name)
    coordinates = place.at(("coordinates",))
    if change.box is not None and coordinates is not None:
        for name, value in _centred(change).items():
            if value != box["coordinates"].get(name):
                yield put(coordinates, name, value)


def _centred(change: Change) -> dict[str, float]:
    x, y, width, height = change.box or (0.0, 0.0, 0.0, 0.0)
    return {"x": x + width / 2, "y": y + height / 2, "width": width, "height": height}


def _new(value: Any, change: Change, values: Callable[[], Iterator[Any]]) -> tuple[Path, Any]:
    return (boxes_of(value)[0],), {"label": change.category_name, "coordinates": _centred(change)}


_DRAWING = Drawing(Place.values, _boxes, _change, _new)

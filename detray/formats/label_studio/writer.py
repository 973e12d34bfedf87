"""Label Studio JSON written back. What has a result's id, such as its text or choices, goes with it."""

from collections.abc import Callable, Iterator, Set
from typing import Any

from detray.changes import Change, Changes
from detray.errors import DetrayError
from detray.formats.byte_edits import Edit
from detray.formats.json.places import Path, Place, put
from detray.formats.json.rewriting import Drawing, rewrite_drawing, select_records
from detray.formats.label_studio.reader import DONE, PARTS, SIZE, is_box, results_of
from detray.formats.outline import points, redrawn
from detray.formats.values import Defects

_NEW = "rectanglelabels"


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its results changed."""
    return rewrite_drawing(path, changes, _DRAWING)


def select(path: str, kept: Set[int]) -> Iterator[bytes]:
    """A file with some of its images only."""
    return select_records(path, kept, lambda top: (top, list(top.spans)))


def _boxes(task: Any) -> list[Path]:
    return (
        [path for path, _, result in results_of(task) if is_box(result.get("type"))] if isinstance(task, dict) else []
    )


def _together(task: Any, path: Path) -> list[Path]:
    """The results of one annotation that have one id."""
    own = [(at, result) for at, _, result in results_of(task) if at[:-1] == path[:-1]]
    name = next(result.get("id") for at, result in own if at == path)
    return [at for at, result in own if at == path or (name is not None and result.get("id") == name)]


def _change(place: Place, result: Any, change: Change) -> Iterator[Edit]:
    kind, value, stated = result.get("type"), place.at(("value",)), result.get("value")
    if value is None or not isinstance(stated, dict):
        return
    if change.category_name is not None and is_box(kind):
        yield put(value, kind, [change.category_name])
    if change.box is not None and (is_box(kind) or kind in PARTS):
        for name, found in _percent(change.box, result, stated).items():
            if found != stated.get(name):
                yield put(value, name, found)


def _percent(box: tuple[float, ...], result: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    """What is drawn as shares of the picture, in the members that it has."""
    across, down = (float(result[side]) / 100 for side in SIZE)
    x, y, width, height = box[0] / across, box[1] / down, box[2] / across, box[3] / down
    if "points" in stated:
        drawn = [side for side in points(stated["points"], "points", Defects()) if side is not None]
        drawn = redrawn(drawn, (x, y, width, height))
        return {"points": [drawn[at : at + 2] for at in range(0, len(drawn), 2)]}
    straight = {"rotation": 0} if stated.get("rotation") else {}
    if "radiusX" in stated:
        return {"x": x + width / 2, "y": y + height / 2, "radiusX": width / 2, "radiusY": height / 2} | straight
    return {"x": x, "y": y, "width": width, "height": height} | straight


def _new(task: Any, change: Change, values: Callable[[], Iterator[Any]]) -> tuple[Path, Any]:
    """A result of the first annotation that counts, else of one of its own."""
    sizes = dict(zip(SIZE, change.size or (1, 1), strict=True))
    drawn = _percent(change.box or (0.0, 0.0, 0.0, 0.0), sizes, {})
    like = next(_alike(values()), {})
    result = sizes | {
        "image_rotation": 0,
        "value": drawn | {"rotation": 0, _NEW: [change.category_name]},
        "id": f"detray{change.annotation_id}",
        "from_name": like.get("from_name", "label"),
        "to_name": like.get("to_name", "image"),
        "type": _NEW,
    }
    field = next((name for name in DONE if task.get(name)), DONE[0])
    for number, done in enumerate(task.get(field) or []):
        if not done.get("was_cancelled"):
            return (field, number, "result"), result
    return (field,), {"result": [result]}


def _alike(tasks: Iterator[Any]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        try:
            yield from (result for _, _, result in results_of(task) if result.get("type") == _NEW)
        except (AttributeError, DetrayError):
            continue


_DRAWING = Drawing(Place.values, _boxes, _change, _new, _together)

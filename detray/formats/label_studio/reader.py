"""Label Studio JSON export: a list of tasks (labelstud.io/guide/task_format and /tags/rectanglelabels).

Boxes are shares of the picture in percent; each states the size of its picture. Those that are turned, and polygons,
are read as their bounds. Every annotation of a task that was not cancelled counts, ``completed_by`` is the annotator.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa

from detray.errors import DetrayError
from detray.files import PICTURE_SUFFIXES
from detray.formats import values
from detray.formats.chunk import Chunk
from detray.formats.drawn import Drawn, read_records
from detray.formats.json import whole
from detray.formats.outline import Numbers, around, bounds, points, turned
from detray.formats.source import Source, is_there, picture_name
from detray.formats.values import Defects

DONE = ("annotations", "completions")
_UPLOAD = re.compile(r"/?data/upload/(?:\d+/)?")
_HASH = re.compile(r"[0-9a-f]{8}-(?=.)")
_TYPES = {"rectanglelabels": "rectangle", "polygonlabels": "polygon", "ellipselabels": "ellipse", "labels": ""}
SIZE = ("original_width", "original_height")
PARTS = ("rectangle", "polygon", "ellipse")
"""Results that a result of type labels says again, with the class."""

Row = dict[str, Any]


@dataclass(frozen=True)
class LabelStudio:
    """The format ``label_studio``."""

    name = "label_studio"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        found = whole.keys(str(path), 2) if path.is_file() else set()
        return "data" in found and not found.isdisjoint(DONE)

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """As `whole.plan`, a record a task."""
        return whole.plan(source, whole.elements)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        return read_records(source, pieces, whole.elements, _read)


def _read(task: Any, path: str, row: int, found: Drawn) -> None:
    if not isinstance(task, dict):
        raise DetrayError("is no task with data and annotations")
    results = [(_who(done), result) for _, done, result in results_of(task)]
    defects = Defects()
    name = _picture(task, found.source, defects)
    stated = next((result for _, result in results if isinstance(result.get(SIZE[0]), int | float)), {})
    size = [
        values.side(values.integer(stated[side], side, defects), side, defects) if side in stated else None
        for side in SIZE
    ]
    image = found.image(path, row, name, size, defects)
    for annotator, result in results:
        _add(found, image, annotator, result)


def results_of(task: Row) -> list[tuple[tuple[str | int, ...], Row, Row]]:
    """The results of all annotations that count: where each stands in the task, its annotation, and itself.

    Raises:
        DetrayError: there are no such lists.
    """
    field = next((name for name in DONE if task.get(name)), DONE[0])
    done: Any = task.get(field) or []
    if not isinstance(done, list) or not all(isinstance(one, dict) for one in done):
        raise DetrayError("its annotations are no list of objects")
    found: list[tuple[tuple[str | int, ...], Row, Row]] = []
    for number, one in enumerate(done):
        if one.get("was_cancelled"):
            continue
        results = one.get("result") or []
        if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
            raise DetrayError("the result of an annotation is no list of objects")
        found += [((field, number, "result", place), one, result) for place, result in enumerate(results)]
    return found


def _who(annotation: Row) -> str | None:
    who = annotation.get("completed_by")
    who = who.get("email", who.get("id")) if isinstance(who, dict) else who
    return None if who is None else values.describe(who)


def _picture(task: Row, source: Source, defects: Defects) -> str | None:
    """The name of the task's picture; an upload's own, where the folder has it without the mark before it."""
    data = task.get("data")
    texts = [text for text in data.values() if isinstance(text, str)] if isinstance(data, dict) else []
    stated = data.get("image") if isinstance(data, dict) else None
    if not isinstance(stated, str):
        stated = next((text for text in texts if _path(text).lower().endswith(PICTURE_SUFFIXES)), None)
    if not stated:
        defects.note("missing-field", "data/image", texts[0] if texts else "")
        return None
    name = values.text(_path(stated), "data/image", defects)
    if name is None:
        return None
    own = _HASH.sub("", name, count=1) if _HASH.match(name) else name
    return own if not is_there(picture_name(name, source), source) and is_there(own, source) else name


def _path(url: str) -> str:
    """The path of a picture's URL, in the storage it is of."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if local := parse_qs(parts.query).get("d"):  # /data/local-files/?d=folder/a.jpg
        return local[0]
    return _UPLOAD.sub("", unquote(parts.path), count=1)


def is_box(kind: Any) -> bool:
    """Whether a result of some type has a class and what is drawn."""
    return isinstance(kind, str) and kind in _TYPES


def _add(found: Drawn, image: Row, annotator: str | None, result: Row) -> None:
    kind: Any = result.get("type")
    value = result.get("value")
    if not is_box(kind):
        if kind not in PARTS:
            found.skip(kind)
        return
    defects = Defects()
    if not isinstance(value, dict):
        defects.note("missing-field", "value", value)
        value = {}
    box = _box(value, result, defects)
    names = value.get(kind)
    name = names[0] if isinstance(names, list) and names else names
    further = {field: result[field] for field in ("score", "meta", "image_rotation") if result.get(field)}
    if isinstance(names, list) and len(names) > 1:
        further["labels"] = names
    found.box(
        image,
        values.text_of({kind: name or None}, kind, defects),
        box[:4],
        defects,
        polygon=box[4:],
        attributes=further,
        annotator=annotator,
    )


def _box(value: Row, result: Row, defects: Defects) -> Numbers:
    """x, y, width, height in pixels, and the points of a polygon behind them."""
    size = [values.side(values.integer_of(result, side, defects), side, defects) for side in SIZE]

    def scaled(numbers: Numbers) -> Numbers:
        sides = [size[place % 2] for place in range(len(numbers))]
        return [
            None if number is None or side is None else number * side / 100
            for number, side in zip(numbers, sides, strict=True)
        ]

    def get(*names: str) -> Numbers:
        return scaled([values.number_of(value, name, defects) for name in names])

    if "points" in value:
        drawn = scaled(points(value["points"], "points", defects))
        if 0 < len(drawn) < 6:
            defects.note("box-arity", "points", f"{len(drawn) // 2} points of a polygon")
        return [*bounds(drawn), *drawn] if len(drawn) >= 6 else [None] * 4
    if "radiusX" in value:
        return around(get("x", "y"), get("radiusX", "radiusY"))
    box = get("x", "y", "width", "height")
    degrees = value.get("rotation")
    if not degrees:
        return box
    angle = values.number(degrees, "rotation", defects)
    drawn = turned(box, angle or 0.0, box[:2])
    return [*bounds(drawn), *drawn]

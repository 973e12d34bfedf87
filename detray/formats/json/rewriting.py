"""JSON of drawing tools written back: what is not changed keeps its very bytes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from detray.changes import Change, Changes
from detray.errors import DetrayError
from detray.formats.byte_edits import Edit, apply_edits
from detray.formats.json import whole
from detray.formats.json.file import open_json
from detray.formats.json.places import Path, Place, encode, put, relist
from detray.formats.json.places import whole as whole_place

_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Drawing:
    """How the boxes of images stand in a file.

    Attributes:
        records: what holds one image each, in their order.
        boxes: the paths within a record's value to what rows are read of, in their order; raises DetrayError.
        change: the edits of a box at a place, with its value.
        new: the path within a record's value to the list that a new box goes to, and what goes there.
        together: what stands for one box with what a path leads to, itself among it.
    """

    records: Callable[[Place], Iterable[Place]]
    boxes: Callable[[Any], list[Path]]
    change: Callable[[Place, Any, Change], Iterator[Edit]]
    new: Callable[[Any, Change, Callable[[], Iterator[Any]]], tuple[Path, Any]]
    together: Callable[[Any, Path], list[Path]] = lambda value, path: [path]


@dataclass
class _List:
    """What happens to a list, or to an object that stands for one."""

    dropped: set[str | int] = field(default_factory=set)
    added: list[Any] = field(default_factory=list)


def rewrite_drawing(path: str, changes: Changes, how: Drawing) -> Iterator[bytes]:
    """A file with some of its boxes changed, piece by piece.

    Raises:
        DetrayError: it cannot be read.
    """
    file = open_json(path)
    text = file.read(file.start, file.size)
    new: dict[int | None, list[Change]] = defaultdict(list)
    for change in changes.added:
        new[change.image_row].append(change)
    edits: list[Edit] = []
    if changes:
        records = list(how.records(whole_place(text)))
        row = 0
        for number, record in enumerate(records):
            value, boxes = _boxes(record, how)
            own = [(box, found) for index, box in enumerate(boxes) if (found := changes.take(row + index))]
            if own or new[number]:
                values = lambda: (whole.value_of(one.raw) for one in records)  # noqa: E731
                edits += _edited(record, value, own, [how.new(value, one, values) for one in new[number]], how)
            row += len(boxes)
    yield file.read(0, file.start) if file.encoding == "utf-8" else b""
    data = apply_edits(text, edits)
    for at in range(0, len(data), _COPY_BYTES):
        yield data[at : at + _COPY_BYTES]


def select_records(
    path: str, kept: Set[int], images: Callable[[Place], tuple[Place, list[str | int]]]
) -> Iterator[bytes]:
    """A file with some of its records only, piece by piece.

    Args:
        path: the file.
        kept: numbers of records.
        images: the list or object that holds the records, and the steps that lead to them, in their order.

    Raises:
        DetrayError: it cannot be read.
    """
    file = open_json(path)
    text = file.read(file.start, file.size)
    place, steps = images(whole_place(text))
    yield apply_edits(text, relist(place, [step for number, step in enumerate(steps) if number not in kept]))


def _boxes(record: Place, how: Drawing) -> tuple[Any, list[Path]]:
    """A record's value, and its boxes; none where it was not read."""
    try:
        value = whole.value_of(record.raw)
        return value, how.boxes(value)
    except DetrayError:
        return None, []


def _edited(
    record: Place, value: Any, changes: list[tuple[Path, Change]], new: list[tuple[Path, Any]], how: Drawing
) -> Iterator[Edit]:
    lists: dict[Path, _List] = defaultdict(_List)
    for path, change in changes:
        for one in how.together(value, path):
            place = record.at(one)
            if change.is_drop:
                lists[one[:-1]].dropped.add(one[-1])
            elif place is not None:
                yield from how.change(place, whole.value_of(place.raw), change)
    for path, made in new:
        lists[path].added.append(made)
    for path, found in lists.items():
        place = record.at(path)
        if place is not None and place.raw[:1] in b"[{":
            yield from relist(place, found.dropped, _texts(place, found.added))
        elif (holder := record.at(path[:-1])) is not None and holder.is_object:
            yield put(holder, str(path[-1]), found.added)


def _texts(place: Place, added: list[Any]) -> list[bytes]:
    """New elements of a list, or new members of an object whose keys are numbers."""
    texts = [encode(value) for value in added]
    if not place.is_object:
        return texts
    free = (str(number) for number in range(len(place.spans), 1 << 62) if str(number) not in place.spans)
    return [encode(key) + b": " + text for key, text in zip(free, texts, strict=False)]

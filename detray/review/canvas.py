"""What is reviewed, picture by picture, as any tool draws it: boxes, and what is asked about each."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.report.review.items import Item
from detray.report.sections.common import Box, box_of
from detray.report.text import visible
from detray.store import ShardKey, Store

Row = dict[str, Any]
Labels = Mapping[int, str]
"""By class id, what the tools call a class."""
Wanted = Mapping[tuple[str, int], Sequence[Item]]
"""What is asked about each picture: by split and image_id."""

_IMAGES = ("split", "image_id", "file_name", "path", "width", "height")
_BOXES = ("image_id", "source_file", "annotation_row", "category_id", "is_crowd", "x", "y", "width", "height")
_DETECTIONS = ("image_id", "category_id", "score", "x", "y", "width", "height")


@dataclass(frozen=True)
class Shape:
    """A box on a canvas.

    Attributes:
        number: of its own within the export.
        category_id, label: its class, and what the tools call that.
        box: x, y, width, height, px.
        source_file, annotation_row: the annotation that it is; None for a box that is suggested.
        asked: what is asked about it, the most suspicious first.
        of: the number of the shape that a suggested box would replace.
    """

    number: int
    category_id: int
    label: str
    box: Box
    source_file: str | None = None
    annotation_row: int | None = None
    is_crowd: bool = False
    asked: tuple[Item, ...] = ()
    of: int | None = None

    @property
    def is_suggested(self) -> bool:
        return self.annotation_row is None

    @property
    def suspicion(self) -> str:
        """What is asked about it, in words."""
        return "; ".join(words(item, is_suggested=self.is_suggested) for item in self.asked)

    @property
    def score(self) -> float | None:
        """Of what is most suspicious about it."""
        return max((item.score for item in self.asked if item.score is not None), default=None)


@dataclass(frozen=True)
class Detection:
    """A box of the detector."""

    label: str
    box: Box | None
    score: float


@dataclass(frozen=True)
class Canvas:
    """A picture with what is drawn on it.

    Attributes:
        number: of its own within the export, none of its shapes'.
        name: its file_name, else its id.
        path: where the picture lies; None where that is not known.
        asked: what is asked about the picture as a whole.
        not_drawn: how many of its boxes have no area in the picture, so that no tool can show them.
        not_asked: how much of what is asked is about these.
    """

    number: int
    split: str
    image_id: int
    name: str
    path: str | None
    width: int | None
    height: int | None
    shapes: Sequence[Shape]
    detections: Sequence[Detection] = ()
    asked: Sequence[Item] = ()
    not_drawn: int = 0
    not_asked: int = 0

    @property
    def score(self) -> float:
        """How suspicious the picture is: as its most suspicious box."""
        return max((shape.score or 0.0 for shape in self.shapes), default=0.0)


def words(item: Item, *, is_suggested: bool = False) -> str:
    """What is asked, for people: what it is, how sure that is, and what accepting it does.

    ``is_suggested``: it stands about the box that is suggested.
    """
    score = "" if item.score is None or item.score == 1 else f" {item.score:.2f}"
    asked = f"{item.about.kind.replace('_', ' ')}{score}"
    if is_suggested:
        return plain(f"suggested: {asked}{'' if item.about.action == 'add' else ', in place of the other'}")
    becomes = f" ({item.suggested_category})" if item.suggested_category else ""
    return plain(f"{asked}: {item.accepting}{becomes}")


def plain(text: object) -> str:
    """Text of the data on one line, without what XML or a reader cannot take."""
    return " ".join(str(visible(str(text))).replace("\ufffe", "").replace("\uffff", "").split())


def labels(categories: pa.Table) -> Labels:
    """What the tools call the classes of a split: their names, with the id behind it where two have one name."""
    names = {
        number: plain(name) or f"id {number}"
        for number, name in tables.class_names(tables.own_classes(categories)).items()
    }
    several = {name for name, n in Counter(names.values()).items() if n > 1}
    return {number: f"{name} (id {number})" if name in several else name for number, name in names.items()}


@dataclass
class Canvases:
    """The canvases of an output folder, split by split; one pass over its tables.

    Attributes:
        wanted: what is asked, by picture.
        is_all: whether pictures that nothing is asked about are drawn too.
        with_detections: whether detections are read.
    """

    store: Store
    wanted: Wanted
    is_all: bool = False
    with_detections: bool = False
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __iter__(self) -> Iterator[Canvas]:
        ids: dict[str, list[int]] = {}
        for split, image_id in sorted(self.wanted):
            ids.setdefault(split, []).append(image_id)
        known: dict[str, Labels] = {}
        for key in sorted(self.store.shards(), key=lambda key: (key.split, key.index)):
            own = ids.get(key.split, [])
            low = 0 if key.low is None else bisect_left(own, key.low)
            high = len(own) if key.high is None else bisect_left(own, key.high)
            if self.is_all or low < high:
                if key.split not in known:
                    known[key.split] = labels(self.store.read("categories", filters=[("split", "=", key.split)]))
                yield from self._of_shard(key, None if self.is_all else own[low:high], known[key.split])

    def _of_shard(self, key: ShardKey, ids: Sequence[int] | None, known: Labels) -> Iterator[Canvas]:
        columns = {"images": _IMAGES, "annotations": _BOXES, "predictions": _DETECTIONS}
        shard = self.store.read_shard(key, predictions=self.with_detections, columns=columns)
        boxes, detections = _by_image(shard.annotations, ids), _by_image(shard.predictions, ids)
        seen: set[int] = set()
        for image in _rows(shard.images, ids):
            if image["image_id"] is not None and image["image_id"] not in seen:
                seen.add(image["image_id"])
                yield self._canvas(
                    image, boxes.get(image["image_id"], ()), detections.get(image["image_id"], ()), known
                )

    def _canvas(self, image: Row, boxes: Iterable[Row], detections: Iterable[Row], known: Labels) -> Canvas:
        asked = self.wanted.get((image["split"], image["image_id"]), ())
        number, width, height = next(self._numbers), image["width"], image["height"]
        shapes: list[Shape] = []
        not_drawn = 0
        of_row = _by(asked, lambda item: (item.about.source_file, item.about.annotation_row))
        for row in boxes:
            box = box_of(row)
            is_named = row["category_id"] is not None and row["annotation_row"] is not None
            if box is None or not is_named or not _is_seen(box, width, height):
                not_drawn += 1
                continue
            shapes.append(
                Shape(
                    next(self._numbers), row["category_id"], _label(known, row["category_id"]), box,
                    row["source_file"], row["annotation_row"], row["is_crowd"],
                    tuple(of_row.get((row["source_file"], row["annotation_row"]), ())),
                )
            )  # fmt: skip
        drawn = {(shape.source_file, shape.annotation_row): shape for shape in shapes}
        made = [shape for item in asked if (shape := self._suggested(item, drawn, known, width, height))]
        first = {shape.of: shape for shape in reversed(made) if shape.of is not None}
        shapes += [shape for shape in made if shape.of is None or first[shape.of] is shape]
        placed = {item.about for shape in shapes for item in shape.asked}
        left = [item for item in asked if item.about not in placed]
        whole = [item for item in left if item.about.annotation_row is None and item.about.action is None]
        found = [Detection(_label(known, row["category_id"]), box_of(row), row["score"]) for row in detections]
        return Canvas(
            number, image["split"], image["image_id"], image["file_name"] or str(image["image_id"]), image["path"],
            width, height, shapes, [one for one in found if one.box is not None], whole,
            not_drawn, len(left) - len(whole),
        )  # fmt: skip

    def _suggested(
        self, item: Item, drawn: Mapping[Any, Shape], known: Labels, width: int | None, height: int | None
    ) -> Shape | None:
        """The box that is to be added, or to stand in another's place."""
        about, box = item.about, item.about.suggested_box
        if about.action not in ("add", "move") or box is None:
            return None
        x, y, wide, high = box
        category_id = about.suggested_category_id if about.action == "add" else about.category_id
        if category_id is None or x is None or y is None or wide is None or high is None:
            return None
        if not _is_seen((x, y, wide, high), width, height):
            return None
        of = drawn.get((about.source_file, about.annotation_row))
        number = next(self._numbers)
        return Shape(
            number, category_id, _label(known, category_id), (x, y, wide, high),
            asked=(item,), of=of.number if of else None,
        )  # fmt: skip


def _label(known: Labels, category_id: int) -> str:
    return known.get(category_id, f"id {category_id}")


def _is_seen(box: Box, width: int | None, height: int | None) -> bool:
    """Whether a box has an area within its picture; of an unknown size, an area."""
    x, y, wide, high = box
    right, bottom = min(x + wide, width or math.inf), min(y + high, height or math.inf)
    return wide > 0 and high > 0 and right > max(x, 0) and bottom > max(y, 0)


def _by(items: Iterable[Item], key: Callable[[Item], Any]) -> dict[Any, list[Item]]:
    found: dict[Any, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _rows(rows: pa.Table, ids: Sequence[int] | None) -> list[Row]:
    found = rows if ids is None else rows.filter(pc.is_in(rows["image_id"], value_set=pa.array(ids, pa.int64())))
    listed: list[Row] = found.to_pylist()
    return listed


def _by_image(rows: pa.Table, ids: Sequence[int] | None) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in _rows(rows, ids):
        found.setdefault(row["image_id"], []).append(row)
    return found

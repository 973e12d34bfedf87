"""YOLO labels: a text file an image, a line a box (docs.ultralytics.com/datasets/detect).

``class x_centre y_centre width height`` are fractions of the picture, whose header is read for its
size; ``class x1 y1 x2 y2 x3 y3 ...`` is a polygon, whose bounds are the box. The class of index k has
the id k + 1. Lines of other lengths (a score, key points) keep their further numbers in ``attributes``,
which hold the fractions where the picture's size is unknown. An edge that is outside of the picture by no
more than the rounding of centre and length is the picture's edge.
"""

import codecs
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from detray.errors import DetrayError
from detray.files import PICTURE_SUFFIXES, Inside, open_file
from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.format import PLAN
from detray.formats.fractions import judge, sides, unrounded
from detray.formats.listing import (
    FILES_PER_CHUNK,
    MAX_BOXES,
    MAX_FILE_BYTES,
    listed_names,
    read_bounded,
    too_many,
)
from detray.formats.outline import bounds
from detray.formats.picture_size import picture_size, size_of_found
from detray.formats.source import OUTSIDE, Source, locate
from detray.formats.values import Defects
from detray.formats.yolo.data_file import (
    DATA_FILES,
    YoloData,
    data_file_in,
    is_data_file,
    label_of,
    pictures_of,
    place_of,
    read_data_file,
    walk,
)
from detray.formats.yolo.plain import looks_plain, read_plain

_LINE = re.compile(r"\s*\d+(?:\s+[-+.\deE]+){4,}\s*")
_NAME_FILES = ("classes.txt", "obj.names", "classes.names")

Row = dict[str, Any]


@dataclass(frozen=True)
class Yolo:
    """The format ``yolo``."""

    name = "yolo"
    has_ids = False
    applies_list = True

    def recognises(self, path: Path) -> bool:
        if path.is_file():
            return is_data_file(path)
        if data_file_in(path) is not None:
            return True
        labels = (
            file for file in sorted(path.glob("*.txt"), key=lambda file: file.name) if file.name not in _NAME_FILES
        )
        return any(_is_label(file) for file, _ in zip(labels, range(10), strict=False))

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """A chunk is some pictures, each with its label file, in the order of their names."""
        pairs: list[tuple[str | None, str | None]] = []
        for stated in source.annotations:
            data = _data(Path(stated), source)
            if data is not None and _states_pictures(data, Path(stated)):
                pairs += _stated_pairs(data, source)
            else:
                pairs += _pair(stated, source)
        return pa.table(
            {
                "chunk": pa.array([number // FILES_PER_CHUNK for number in range(len(pairs))], pa.int32()),
                "file": pa.array([label for label, _ in pairs], pa.string()),
                "part": pa.array([picture for _, picture in pairs], pa.string()),
                "start": pa.nulls(len(pairs), pa.int64()),
                "end": pa.nulls(len(pairs), pa.int64()),
            },
            schema=PLAN,
        )

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        images: list[Row] = []
        texts: list[bytes | list[str]] = []
        quarantine: list[Row] = []
        inside = Inside(source.folders)
        for label, picture in zip(pieces["file"].to_pylist(), pieces["part"].to_pylist(), strict=True):
            try:
                text = _text(label, inside)
                lines = None if looks_plain(text) else _lines(text)
            except DetrayError as error:
                quarantine.append({"source_file": label, "reason": "unreadable-annotation-file", "detail": str(error)})
                continue
            image = _image(label, picture, source, inside)
            images.append(image)
            texts.append(text if lines is None and image["width"] is not None else lines or _lines(text))
        annotations = _annotations(images, texts)
        return Chunk(
            images=pa.Table.from_pylist(images, chunk.IMAGES),
            annotations=annotations,
            categories=_categories(source, annotations["category_id"]),
            quarantine=pa.Table.from_pylist(quarantine, chunk.QUARANTINE),
        )


# which files


def _is_label(path: Path) -> bool:
    try:
        with open_file(path) as file:
            head = file.read(4096).decode("utf-8-sig", "replace")
    except OSError:
        return False
    return bool(head.strip()) and bool(_LINE.fullmatch(head.splitlines()[0]))


def _states_pictures(data: YoloData, stated: Path) -> bool:
    """Whether pictures are those that the data file states, not those of a stated folder of labels."""
    return stated.is_file() or (Path(data.path).parent == stated and bool(data.splits or data.whole))


def _data(stated: Path, source: Source) -> YoloData | None:
    """The data file that is stated, or stands in the stated folder or up to two folders above it."""
    if stated.is_file():
        return read_data_file(str(stated), source.folders)
    for folder in (stated, *stated.parents[:2]):
        # it may stand above the root, but what it names may not lead out
        if (found := data_file_in(folder)) is not None:
            return read_data_file(str(found), source.folders)
    return None


def _stated_pairs(data: YoloData, source: Source) -> list[tuple[str | None, str | None]]:
    """Labels and pictures of the split in the order of the pictures, also of labels whose picture is not there."""
    places = data.splits.get(source.split, data.whole)
    if not data.splits and not places:
        raise DetrayError(
            f"{data.path}: states no train, val or test, and no folders images and labels stand beside it;"
            " write where the pictures of a split lie"
        )
    if not places:
        known = ", ".join(data.splits)
        raise DetrayError(f"{data.path}: states no pictures of the split '{source.split}'; it states {known}")
    pairs: dict[str, str | None] = {}
    labels: dict[str, str] = {}
    for stated in places:
        place = place_of(data, stated, source.folders)
        if place is None:
            raise DetrayError(f"{data.path}: {source.split}: {stated}: no such folder or list below {source.root}")
        pairs |= pictures_of(place, data, source.folders)
        labels |= _labels_of(place)
    there = set(pairs.values())
    pairs |= {picture: label for label, picture in labels.items() if label not in there}
    return [(pairs[picture], picture) for picture in sorted(pairs)]


def _labels_of(place: str) -> dict[str, str]:
    """The label files that belong to a folder of pictures, each with the picture that it should have."""
    if not Path(place).is_dir():
        return {}
    folder = label_of(f"{place}/a.jpg").rpartition("/")[0]
    found = (path for path in walk(folder) if path.endswith(".txt") and not path.endswith(_NAME_FILES))
    # beside the pictures other texts may stand, too
    return {path: f"{place}/{_stem(path, folder)}.jpg" for path in found if folder != place or _is_label(Path(path))}


def _pair(folder: str, source: Source) -> list[tuple[str | None, str | None]]:
    """Label files of a folder and pictures of the image folder, by their names without suffix."""
    labels = {_stem(path, folder): path for path in walk(folder)
              if path.endswith(".txt") and not path.endswith(_NAME_FILES)}  # fmt: skip
    pictures: dict[str, str] = {}
    if source.images is not None:
        pictures = {_stem(path, source.images): path for path in walk(source.images)
                    if path.lower().endswith(PICTURE_SUFFIXES)}  # fmt: skip
    stems = sorted(labels.keys() | pictures.keys())
    if source.list is not None:
        wanted = {name for listed in listed_names(source.list) for name in (listed, listed.rpartition(".")[0])}
        wanted |= {name.rpartition("/")[2] for name in wanted}
        stems = [stem for stem in stems if stem in wanted or stem.rpartition("/")[2] in wanted]
    lost = source.images and {stem: f"{source.images}/{stem}.jpg" for stem in labels.keys() - pictures.keys()}
    return [(labels.get(stem), (pictures | (lost or {})).get(stem)) for stem in stems]


def _stem(path: str, folder: str) -> str:
    return path.removeprefix(folder.rstrip("/") + "/").rpartition(".")[0]


def states_pictures(source: Source) -> bool:
    """Whether the pictures of a split are those that its data file states."""
    data = [(_data(Path(stated), source), Path(stated)) for stated in source.annotations]
    return any(found is not None and _states_pictures(found, stated) for found, stated in data)


def folders_of(source: Source) -> tuple[str, str] | None:
    """The folder of labels and that of pictures of a split whose data file states pictures.

    None where no two folders hold just these, or a person would find other class names beside them.
    """
    plan = Yolo().plan(source)
    labels, pictures = (plan[name].drop_null().to_pylist() for name in ("file", "part"))
    data = _data(Path(source.annotations[0]), source)
    if not labels or not pictures or len(labels) < len(plan) or data is None:
        return None
    of_labels, of_pictures = (_common(paths) for paths in (labels, pictures))
    stems = {_stem(path, of_pictures) for path in pictures}
    held = {_stem(path, of_pictures) for path in walk(of_pictures) if path.lower().endswith(PICTURE_SUFFIXES)}
    if stems != {_stem(path, of_labels) for path in labels} or not held <= stems:
        return None
    is_beside = Path(data.path).parent in (Path(of_labels), *Path(of_labels).parents[:2])
    return (of_labels, of_pictures) if is_beside and Path(data.path).name in DATA_FILES else None


def _common(paths: list[str]) -> str:
    """The folder that holds all paths."""
    return os.path.commonpath([path.rpartition("/")[0] for path in paths])


def name_file_of(stated: str, source: Source) -> str | None:
    """The data file or file of names that says what the classes of a stated file or folder are called."""
    data = _data(Path(stated), source)
    return data.path if data is not None else _name_file(Path(stated))


# what is in them


def _annotations(images: list[Row], texts: list[bytes | list[str]]) -> pa.Table:
    """The boxes of images, of which ``texts`` are label files that look plain, or lines."""
    plain = [place for place, text in enumerate(texts) if isinstance(text, bytes)]
    found = read_plain(
        [text for text in texts if isinstance(text, bytes)],
        [(images[place]["width"], images[place]["height"]) for place in plain],
    )
    others: list[Row] = []
    places: list[int] = []
    is_read = dict(zip(plain, found.is_plain.tolist(), strict=True))
    for place, (image, text) in enumerate(zip(images, texts, strict=True)):
        if not is_read.get(place, False):
            lines = _lines(text) if isinstance(text, bytes) else text
            drawn = [_box(line, row, image) for row, line in enumerate(lines) if line.strip()]
            if image["width"] is None:
                _note_repeated(drawn)
            others += drawn
            places += [place] * len(drawn)
    of = np.array(plain, np.int64)[found.file]
    files = pa.array([image["source_file"] for image in images], chunk.ANNOTATIONS.field("source_file").type)
    table = chunk.table(
        chunk.ANNOTATIONS,
        len(of),
        annotation_row=found.row,
        category_id=found.index + 1,
        **{name: found.box[:, column] for column, name in enumerate(("x", "y", "width", "height"))},
        area=found.box[:, 2] * found.box[:, 3],
        is_crowd=np.zeros(len(of), bool),
        is_difficult=np.zeros(len(of), bool),
        source_file=files.take(pa.array(of)),
        key=pa.array([image["key"] for image in images], pa.string()).take(pa.array(of)),
    )
    if not others:
        return table
    order = np.argsort(np.concatenate([of, np.array(places, np.int64)]), kind="stable")
    return pa.concat_tables([table, pa.Table.from_pylist(others, chunk.ANNOTATIONS)]).take(pa.array(order))


def _text(label: str | None, inside: Inside) -> bytes:
    """A label file, its lines ended by \\n; a picture without one has no boxes."""
    data = None if label is None else inside.read(label, MAX_FILE_BYTES + 1)
    if label is None or (data is None and not (Path(label).exists() or "\ufffd" in label)):
        return b""
    if data is None or len(data) > MAX_FILE_BYTES:
        folder, _, name = label.rpartition("/")
        if locate(folder, name, inside.allowed) is None:
            raise DetrayError(OUTSIDE)
        data = read_bounded(label)
    return data.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")


def _lines(text: bytes) -> list[str]:
    try:
        lines = text.decode().splitlines()
    except UnicodeDecodeError:
        raise DetrayError("is not UTF-8 text") from None
    if len(lines) > MAX_BOXES:
        raise DetrayError(too_many(len(lines)))
    return lines


def _image(label: str | None, picture: str | None, source: Source, inside: Inside) -> Row:
    defects = Defects()
    folder, _, last = (picture or label or "").rpartition("/")
    size = None if picture is None else size_of_found(picture, inside)
    is_within = picture is None or size is not None or locate(folder, last, inside.allowed) is not None
    size = size or (picture_size(picture) if is_within else None)
    if size is None and picture is not None:
        defects.note("missing-field", "picture size", "no readable picture")
    path = picture or label or ""
    base = source.images if picture else None
    if base and path.startswith(f"{base.rstrip('/')}/"):
        name = path.removeprefix(f"{base.rstrip('/')}/")
    else:
        name = last if is_within else path
    return {
        "file_name": values.text(name, "file_name", defects),
        "width": size and size[0],
        "height": size and size[1],
        "image_row": 0,
        "source_file": label or picture,
        "defects": defects.or_none(),
        "key": f"{name}\0{path}",
    }


def _box(line: str, row: int, image: Row) -> Row:
    defects = Defects()
    first, *rest = line.split()
    index = values.written_integer(first, "class", defects)
    if index is not None and index < 0:
        defects.note("wrong-type", "class", first)
        index = None
    numbers = [values.written_number(text, f"box[{place}]", defects) for place, text in enumerate(rest)]
    width, height = image["width"], image["height"]
    box: list[float | None] = [None] * 4
    polygon = None
    further: dict[str, list[float | None]] = {}
    if len(numbers) < 4:
        defects.note("box-arity", "", line)
    elif width is None:
        further = {"fractions": numbers}
        judge(_box_of(numbers), defects)
        if image["defects"]:
            defects.note("missing-field", "picture size", "")
    else:
        scaled = [
            None if value is None else values.number(value * (width, height)[place % 2], f"box[{place}]", defects)
            for place, value in enumerate(numbers)
        ]
        box = _box_of(scaled)
        if None not in box and not _is_polygon(numbers):
            box = _unrounded(box, (width, height), rest[:4])
        if _is_polygon(numbers):
            polygon = json.dumps([scaled]) if None not in scaled else None
        elif len(numbers) > 4:
            further = {"further": numbers[4:]}
    return {
        "annotation_row": row,
        "category_id": None if index is None else index + 1,
        "x": box[0],
        "y": box[1],
        "width": box[2],
        "height": box[3],
        "area": None if box[2] is None or box[3] is None else box[2] * box[3],
        "is_crowd": False,
        "is_difficult": False,
        "segmentation": polygon,
        "source_file": image["source_file"],
        "attributes": json.dumps(further) if further else None,
        "defects": defects.or_none(),
        "key": image["key"],
    }


def _is_polygon(numbers: list[float | None]) -> bool:
    return len(numbers) >= 6 and len(numbers) % 2 == 0


def _box_of(numbers: list[float | None]) -> list[float | None]:
    """x, y, width, height of what the numbers of a line draw."""
    if _is_polygon(numbers):
        return bounds(numbers)
    x, y, w, h = numbers[:4]
    return [None if x is None or w is None else x - w / 2, None if y is None or h is None else y - h / 2, w, h]


def _unrounded(box: list[float | None], size: tuple[int, int], written: list[str]) -> list[float | None]:
    """The box, clipped to the picture where it is outside by the rounding of what is ``written`` alone."""
    x, y, w, h = (value for value in box if value is not None)
    (x, w), (y, h) = unrounded(x, w, size[0], written, 0), unrounded(y, h, size[1], written, 1)
    return [x, y, w, h]


def _note_repeated(boxes: list[Row]) -> None:
    """Note the boxes of one picture that have the class and the fractions of another before them."""
    seen: set[tuple[float | None, ...]] = set()
    for box in boxes:
        numbers = json.loads(box["attributes"])["fractions"] if box["attributes"] else [None] * 4
        known = [side for side in _box_of(numbers) if side is not None]
        if len(known) < 4 or min(known[2:]) <= 0:
            continue  # which is noted as that
        drawn = (box["category_id"], *known)
        if drawn in seen:
            box["defects"] = Defects(box["defects"] or ())
            box["defects"].note("duplicate-box", "", sides(*known[2:]))
        seen.add(drawn)


def _categories(source: Source, drawn: pa.ChunkedArray) -> pa.Table:
    """The classes of the data file or of a file of names; without either, those that boxes name."""
    names: dict[int, str | None] = {}
    miscounted: str | None = None
    for stated in source.annotations:
        data = _data(Path(stated), source)
        names |= data.names if data is not None else _named_in(Path(stated))
        miscounted = miscounted or (data.miscounted if data is not None else None)
    defects = [Defects() for _ in names]
    for noted, (_, name) in zip(defects, sorted(names.items()), strict=True):
        if name is None:
            noted.note("missing-field", "name", "")
    if miscounted and defects:
        defects[-1].note("wrong-type", "nc", miscounted)
    if not names:
        ids, boxes = np.unique(drawn.drop_null().to_numpy(), return_counts=True)
        return chunk.table(chunk.CATEGORIES, len(ids), category_id=ids, boxes=boxes)
    order = sorted(names)
    return chunk.table(
        chunk.CATEGORIES,
        len(order),
        category_id=[index + 1 for index in order],
        category_name=[names[index] for index in order],
        defects=[noted.or_none() for noted in defects],
    )


def _named_in(folder: Path) -> dict[int, str]:
    found = _name_file(folder)
    text = read_bounded(found).decode("utf-8-sig", "replace") if found is not None else ""
    return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))


def _name_file(folder: Path) -> str | None:
    for name in _NAME_FILES:
        for place in (folder, folder.parent):
            found = locate(str(place), name, (str(place.resolve()),))
            if found is not None and Path(found).is_file():
                return found
    return None

"""TFRecords of the TF Object Detection API (object_detection/dataset_tools/create_coco_tf_record.py).

Boxes are fractions of the picture, whose size the record states. ``image/object/class/label`` is the
class's id, else its text is numbered as in formats that have only names. Shards
(``-00000-of-00010``) that are not there are named in quarantine.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from detray.errors import DetrayError
from detray.files import in_record
from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.format import PLAN
from detray.formats.listing import MAX_BOXES, as_text, too_many
from detray.formats.source import OUTSIDE, Source, locate
from detray.formats.tfrecord.example import BrokenExample, Value, parse_example
from detray.formats.tfrecord.records import (
    is_called_record_file,
    is_record_file,
    map_file,
    missing_shards,
    records,
    spans,
)
from detray.formats.values import Defects

CHUNK_BYTES = 64 << 20
CHUNK_RECORDS = 20_000
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_OBJECT = "image/object/"
_KNOWN_OBJECT = {
    *(f"{_OBJECT}bbox/{side}" for side in _SIDES),
    f"{_OBJECT}class/label",
    f"{_OBJECT}class/text",
    f"{_OBJECT}area",
    f"{_OBJECT}is_crowd",
    f"{_OBJECT}difficult",
}
_KINDS = {
    **dict.fromkeys((f"bbox/{side}" for side in _SIDES), float),
    "class/label": int,
    "class/text": bytes,
    "area": float,
    "is_crowd": int,
    "difficult": int,
}
_LISTS = {int: "an Int64List", float: "a FloatList"}
_KNOWN_IMAGE = {"image/filename", "image/width", "image/height", "image/encoded", "image/format"}
_CLASS_LISTS = ("image/class/label", "image/neg_category_ids", "image/not_exhaustive_category_ids")
"""Classes that an image was looked through for, by which Open Images and LVIS are evaluated."""
_MAX_KEPT_BYTES = 200
_MAX_NAME = 4096
_MAX_LISTED = 10_000
_BROKEN, _MISSING = "broken", "missing"

Row = dict[str, Any]


@dataclass(frozen=True)
class TFRecord:
    """The format ``tfrecord``."""

    name = "tfrecord"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        return any(is_record_file(file) for file in _first_files(path))

    def is_called_so(self, path: Path) -> bool:
        """Whether the name of ``path``, or of a file in that folder, says that it is of this format."""
        return any(is_called_record_file(file) for file in _first_files(path))

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """A chunk is some records of one file; ``part`` is the number of the first."""
        files = [file for stated in source.annotations for file in _files(Path(stated))]
        rows: list[Row] = []
        for file in files:
            folder, _, name = file.rpartition("/")
            if file not in source.annotations and locate(folder, name, source.folders) is None:
                rows.append({"file": file, "part": f"{_BROKEN}: {OUTSIDE}"})
                continue
            for span in spans(map_file(file), CHUNK_BYTES, CHUNK_RECORDS):
                rows.append({"file": file, "part": str(span.first), "start": span.start, "end": span.end})
                if span.broken:
                    rows.append({"file": file, "part": f"{_BROKEN}: {span.broken}"})
        last = len(rows)  # one chunk for all that are missing: a name may state any number of shards
        rows = [row | {"chunk": number} for number, row in enumerate(rows)]
        rows += [{"file": file, "part": _MISSING, "chunk": last} for file in missing_shards(files)]
        return pa.Table.from_pylist(rows, PLAN)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        piece = pieces.slice(0, 1).to_pylist()[0]
        file, part = piece["file"], piece["part"]
        if part == _MISSING:
            return Chunk(quarantine=_lost_files(pieces["file"].to_pylist(), "this shard is not there"))
        if piece["start"] is None:
            return Chunk(quarantine=_lost_files([file], part.removeprefix(f"{_BROKEN}: ")))
        images: list[Row] = []
        boxes: list[Row] = []
        lost: list[tuple[int, str, str]] = []
        for number, (begin, content) in enumerate(records(map_file(file), piece["start"], piece["end"]), int(part)):
            if content is None:
                lost.append((number, "corrupt-record", "its data does not agree with its checksum"))
                continue
            try:
                features = parse_example(content)
                count = count_boxes(features)
                if count > MAX_BOXES:
                    raise BrokenExample(too_many(count))
            except BrokenExample as error:
                lost.append((number, "corrupt-record", str(error)))
                continue
            image = _image(features, file, number) | {"path": _place(features, content, file, begin, source)}
            images.append(image)
            boxes += _boxes(features, count, image, len(boxes))
        return Chunk(
            images=pa.Table.from_pylist(images, chunk.IMAGES),
            annotations=pa.Table.from_pylist(boxes, chunk.ANNOTATIONS),
            categories=_categories(boxes, file),
            quarantine=_quarantine(lost, file),
            annotation_rows_of=file,
        )


def _first_files(path: Path) -> list[Path]:
    """Some files of a folder, or the file itself."""
    if not path.is_dir():
        return [path]
    return [path / name for name in sorted(os.listdir(path))[:10] if (path / name).is_file()]  # noqa: PTH208 - a tenth


def _files(stated: Path) -> list[str]:
    if stated.is_file():
        return [str(stated)]
    files = (file for file in sorted(stated.iterdir()) if file.is_file())
    found = [as_text(str(file)) for file in files if is_called_record_file(file) or is_record_file(file)]
    if not found:
        raise DetrayError(f"{stated}: holds no TFRecord file; check dataset.splits")
    return found


def _lost_files(files: list[str], detail: str) -> pa.Table:
    return pa.Table.from_pylist(
        [{"source_file": file, "reason": "unreadable-annotation-file", "detail": detail} for file in files],
        chunk.QUARANTINE,
    )


def _quarantine(lost: list[tuple[int, str, str]], file: str) -> pa.Table:
    return pa.Table.from_pylist(
        [{"source_file": file, "row": row, "reason": reason, "detail": detail} for row, reason, detail in lost],
        chunk.QUARANTINE,
    )


def _text(features: dict[str, Value], name: str, defects: Defects) -> str | None:
    found = features.get(name)
    if not found or not isinstance(found[0], bytes):
        return None
    return str(_read(found[0][:_MAX_NAME], name, bytes, defects))


def _image(features: dict[str, Value], file: str, number: int) -> Row:
    defects = Defects()
    name = _text(features, "image/filename", defects) or _text(features, "image/source_id", defects)
    if name is None:
        defects.note("missing-field", "image/filename", "")
    sides: dict[str, int | None] = {}
    for side in ("width", "height"):
        found = features.get(f"image/{side}")
        stated = None
        if found:
            stated = values.integer(_read(found[0], f"image/{side}", int, defects), f"image/{side}", defects)
        sides[side] = values.side(stated, f"image/{side}", defects)
    if sides["width"] is None or sides["height"] is None:
        sides = _encoded_size(features) or sides
    for side, value in sides.items():
        if value is None and not features.get(f"image/{side}"):
            defects.note("missing-field", f"image/{side}", "")
    kept = {
        key: _plain(value[0])
        for key, value in features.items()
        if not key.startswith(_OBJECT) and key not in _KNOWN_IMAGE and len(value) == 1 and _is_short(value[0])
    }
    lists = {key: features[key] for key in _CLASS_LISTS if _is_list_of_ids(features.get(key))}
    return {
        "file_name": name,
        **sides,
        "image_row": number,
        "source_file": file,
        "attributes": values.as_json(kept | lists, "attributes", defects) if kept or lists else None,
        "defects": defects.or_none(),
        "key": f"{name or ''}\0{file}\0{number:012d}",
    }


def _place(features: dict[str, Value], content: bytes, file: str, begin: int, source: Source) -> str | None:
    """Where the picture lies that a record's data, ``content``, hold at byte ``begin`` of its file.

    None where it holds none, and the split's pictures lie in a folder.
    """
    encoded = features.get("image/encoded")
    if not encoded or not isinstance(encoded[0], bytes):
        return None if source.images is not None else in_record(file, begin, None)
    head = content.find(encoded[0][:64])  # to prepare the search for all of a long text takes longer than that
    if not content.startswith(encoded[0], head):
        head = content.find(encoded[0])
    return in_record(file, begin + head, len(encoded[0]))


def _encoded_size(features: dict[str, Value]) -> dict[str, int | None] | None:
    """The size of the picture that the record holds, as displayed."""
    from detray import pictures  # Pillow: only records without a size need it

    encoded = features.get("image/encoded")
    if not encoded or not isinstance(encoded[0], bytes):
        return None
    try:
        header = pictures.inspect(encoded[0])
    except pictures.PictureError:
        return None
    return {"width": header.width, "height": header.height}


def _is_list_of_ids(value: Value | None) -> bool:
    """A single one is kept as all short features are."""
    if value is None or len(value) == 1 or len(value) > _MAX_LISTED:
        return False
    return all(isinstance(number, int) for number in value)


def _is_short(value: int | float | bytes) -> bool:
    return not isinstance(value, bytes) or len(value) <= _MAX_KEPT_BYTES


def _plain(value: int | float | bytes) -> int | float | str:
    return values.clean(value.decode("utf-8", "replace")) if isinstance(value, bytes) else value


def _read(value: int | float | bytes, field: str, kind: type, defects: Defects) -> int | float | str:
    """A value, noted where it is no text, or in a list of another kind: TensorFlow refuses such a record."""
    if not isinstance(value, kind) and not isinstance(value, bytes):
        defects.note("wrong-type", field, f"{value} in {_LISTS[type(value)]}")
    found = _plain(value)
    if isinstance(found, str) and ("\ufffd" in found or "\0" in found):
        defects.note("wrong-type", field, found)
    return found


def count_boxes(features: dict[str, Value]) -> int:
    """How many boxes a record has: the length of its longest list of what boxes have."""
    return max((len(found) for name, found in features.items() if name in _KNOWN_OBJECT), default=0)


def _boxes(features: dict[str, Value], count: int, image: Row, before: int) -> list[Row]:
    lists = {name: found for name, found in features.items() if name.startswith(_OBJECT)}
    kept = {
        name.removeprefix(_OBJECT): found
        for name, found in lists.items()
        if name not in _KNOWN_OBJECT and len(found) == count and all(_is_short(value) for value in found)
    }
    return [_box(lists, kept, image, index, before + index) for index in range(count)]


def _box(lists: dict[str, Value], kept: dict[str, Value], image: Row, index: int, row: int) -> Row:
    defects = Defects()

    def get(name: str, *, required: bool = False) -> Any:
        found = lists.get(f"{_OBJECT}{name}", ())
        if index < len(found):
            return _read(found[index], name, _KINDS[name], defects)
        if required or found:
            defects.note("missing-field", f"{_OBJECT}{name}", f"{len(found)} values")
        return None

    corners = []
    for side, size in zip(_SIDES, (image["width"], image["height"]) * 2, strict=True):
        written = get(f"bbox/{side}", required=True)
        fraction = None if written is None else values.number(written, f"bbox/{side}", defects)
        corners.append(None if fraction is None or size is None else fraction * size)
    x, y, right, bottom = corners
    width = None if x is None or right is None else right - x
    height = None if y is None or bottom is None else bottom - y
    name = get("class/text")
    if isinstance(name, str) and len(name) > _MAX_NAME:
        defects.note("wrong-type", "class/text", f"{len(name)} characters")
        name = name[:_MAX_NAME]
    label = get("class/label", required=name is None)
    area = get("area")
    area = None if area is None else values.number(area, "area", defects)
    return {
        "annotation_row": row,
        "category_id": None if label is None else values.integer(label, "class/label", defects),
        "category_name": name if isinstance(name, str) and name else None,
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "area": width * height if area is None and width is not None and height is not None else area,
        "is_crowd": values.flag(get("is_crowd"), "is_crowd", defects),
        "is_difficult": values.flag(get("difficult"), "difficult", defects),
        "source_file": image["source_file"],
        "attributes": json.dumps({key: _plain(found[index]) for key, found in kept.items()}) if kept else None,
        "defects": defects.or_none(),
        "key": image["key"],
    }


def _categories(boxes: list[Row], file: str) -> pa.Table:
    """Each pair of label and text that boxes carry, and how many do."""
    pairs = Counter((box["category_id"], box["category_name"]) for box in boxes)
    rows = [
        {"category_id": label, "category_name": text, "boxes": pairs[label, text], "source_file": file}
        for label, text in sorted(pairs, key=str)
        if label is not None or text
    ]
    return pa.Table.from_pylist(rows, chunk.CATEGORIES)

"""Detections as shares of their picture: a folder of YOLO predictions, or the outputs of a TensorFlow detector as JSON.

Rows come as `rows.RAW` with boxes in shares; `in_pixels` makes pixels of them when their images are known.
The class k of YOLO has the id k + 1, as in YOLO data sets.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detray.errors import DetrayError
from detray.formats import values
from detray.formats.detections.rows import RAW, SIDES, WRAPPERS, FileChunk, class_name, number_ranks
from detray.formats.json import whole
from detray.formats.listing import FILES_PER_CHUNK, files_below, read_bounded
from detray.formats.source import require_inside
from detray.formats.values import Defects
from detray.tables import lookup

_IMAGE = ("image_id", "file_name", "filename", "image", "source_id", "key")
_BOXES = "detection_boxes"
_NAMES = ("detection_class_entities", "detection_class_names")
"""What models of Open Images on TensorFlow Hub, and people, call the names."""
_NOT_PREDICTIONS = ("classes.txt",)

Row = dict[str, Any]


def plan(path: str) -> list[FileChunk] | None:
    """The chunks of what holds detections as shares; None if ``path`` is no such folder or file.

    Raises:
        DetrayError: it is a folder without predictions.
    """
    if Path(path).is_dir():
        count = len(_files(path))
        if not count:
            raise DetrayError(
                f"{path}: holds no .txt file; state a folder of YOLO predictions, or a file of detections"
            )
        return _pieces(path, count, FILES_PER_CHUNK)
    if not Path(path).is_file() or all(_BOXES not in whole.keys(path, depth) for depth in (2, 3)):
        return None
    return _pieces(path, len(_records(path)), whole.RECORDS_PER_CHUNK)


def _pieces(path: str, count: int, size: int) -> list[FileChunk]:
    return [
        FileChunk(path, start, min(start + size, count), exact=True, shares=True) for start in range(0, count, size)
    ]


def read(chunk: FileChunk) -> pa.Table:
    """The rows of a chunk of `plan`, as `rows.RAW`, boxes as shares of their picture."""
    found = _of_folder(chunk) if Path(chunk.path).is_dir() else _of_outputs(chunk)
    return number_ranks([pa.Table.from_pylist(list(found), RAW)])


def in_pixels(raw: pa.Table, sizes: pa.Table) -> pa.Table:
    """Raw detections with boxes in pixels; those of unknown images stay. ``sizes``: image_id, width, height."""
    known = pc.is_in(raw["image_id"], value_set=sizes["image_id"].combine_chunks(), skip_nulls=True)
    for side, stated in zip(SIDES, ("width", "height") * 2, strict=True):
        scale = lookup(raw["image_id"], sizes, "image_id", stated).cast(pa.float64())
        index = RAW.get_field_index(side)
        scaled = pc.if_else(known, pc.multiply(raw[side], pa.chunked_array([scale])), raw[side])
        raw = raw.set_column(index, RAW.field(index), scaled)
    return raw


def _row(file: str, image: Any, box: Sequence[float | None], defects: Defects, **more: Any) -> Row:
    """A detection. An image that is named by a text is noted as `ids.image_texts` reads it."""
    number = image if isinstance(image, int) and not isinstance(image, bool) else None
    if image in (None, ""):
        defects.note("missing-field", "image_id", "")
    elif number is None or not -(2**63) < number < 2**63:
        number = None
        defects.note("wrong-type", "image_id", image)
    return (
        dict(zip(SIDES, box, strict=True))
        | {"image_id": number, "source_file": file, "defects": defects.or_none(), "rank": 0}
        | more
    )


def _files(folder: str) -> list[str]:
    return [path for path in files_below(folder, ".txt") if not path.endswith(_NOT_PREDICTIONS)]


def _of_folder(chunk: FileChunk) -> Iterator[Row]:
    for path in _files(chunk.path)[chunk.start : chunk.end]:
        require_inside(Path(chunk.path), Path(path).name)
        try:
            lines = read_bounded(path).decode("utf-8-sig", "replace").splitlines()
        except DetrayError as error:
            raise DetrayError(f"{path}: {error}") from None
        yield from (_of_line(line, Path(path).stem, chunk.path) for line in lines if line.strip())


def _of_line(line: str, image: str, folder: str) -> Row:
    """``class x_centre y_centre width height score``; what stands behind it (a track's number) is not read."""
    defects = Defects()
    label, *texts = (*line.split()[:6], *[None] * 6)[:6]
    names = ("bbox[0]", "bbox[1]", "bbox[2]", "bbox[3]", "score")
    x, y, width, height, score = (
        values.written_number(text, name, defects) for text, name in zip(texts, names, strict=True)
    )
    index = values.written_integer(label, "category_id", defects)
    left = None if x is None or width is None else x - width / 2
    top = None if y is None or height is None else y - height / 2
    return _row(
        folder,
        image,
        [left, top, width, height],
        defects,
        category_id=None if index is None else index + 1,
        score=score,
    )


def _records(path: str) -> list[Any]:
    """The outputs of each image: a list, or what an object wraps."""
    text = whole.read_text(path)
    try:
        return whole.elements(text)
    except DetrayError:
        found = whole.fields(text)
    wrapped = [found[name] for name in WRAPPERS if name in found]
    if len(wrapped) != 1:
        raise DetrayError(f"{path}: not one list of the outputs of images")
    return whole.elements(wrapped[0])


def _of_outputs(chunk: FileChunk) -> Iterator[Row]:
    for record in _records(chunk.path)[chunk.start : chunk.end]:
        yield from _of_image(whole.value_of(record), chunk.path)


def _of_image(value: Any, path: str) -> Iterator[Row]:
    """The detections of one image: boxes as [y, x, y2, x2], the first ``num_detections`` of them."""
    value = value if isinstance(value, dict) else {}
    image = next((value[name] for name in _IMAGE if value.get(name) is not None), None)
    columns = [value.get(name) for name in (_BOXES, "detection_classes", "detection_scores")]
    boxes, classes, scores = (column if isinstance(column, list) else [] for column in columns)
    names: list[Any] = next((value[name] for name in _NAMES if isinstance(value.get(name), list)), [])
    if not isinstance(value.get(_BOXES), list):
        defects = Defects()
        defects.note("missing-field", _BOXES, value.get(_BOXES, ""))
        yield _row(path, image, [None] * 4, defects)
    stated = value.get("num_detections")
    count = int(stated) if isinstance(stated, int | float) and 0 <= stated <= len(boxes) else len(boxes)
    for index in range(count):
        defects = Defects()
        row = {
            "bbox": boxes[index],
            "category_id": classes[index] if index < len(classes) else None,
            "score": scores[index] if index < len(scores) else None,
        }
        y, x, bottom, right = values.box_of(row, "bbox", defects)
        width = None if x is None or right is None else right - x
        height = None if y is None or bottom is None else bottom - y
        yield _row(
            path,
            image,
            [x, y, width, height],
            defects,
            category_id=values.integer_of(row, "category_id", defects),
            category_name=class_name(names[index]) if index < len(names) else None,
            score=values.number_of(row, "score", defects),
        )

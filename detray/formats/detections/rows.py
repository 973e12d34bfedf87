"""COCO results JSON: a list of detections (cocodataset.org/#format-results).

`plan` and `read` give the rows of a file, byte range by byte range, everything as written, which is what
diagnosis looks at.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET

from detray import schema
from detray.errors import DetrayError, UsageError
from detray.formats import values
from detray.formats.json.file import JsonFile, open_json
from detray.formats.json.lists import JsonList, cut, find_lists, find_only_list
from detray.formats.json.rows import Int64, ParsedRows, Raw, Row, WrongCut, box_columns, column, raw_text, read_blocks
from detray.formats.values import Defects, clean
from detray.masks import read_mask
from detray.mirror import here

SIDES = ("x", "y", "width", "height")
_DEFECTS = schema.DEFECTS.type
RAW = pa.schema(
    [
        pa.field("image_id", pa.int64(), metadata={"description": "The image; NULL where not readable"}),
        pa.field("category_id", pa.int64(), metadata={"description": "The class; NULL where not readable"}),
        pa.field("category_name", pa.string(), metadata={"description": "What the row calls it; NULL if it does not"}),
        *(schema.schema("annotations").field(side) for side in SIDES),
        pa.field("score", pa.float64(), metadata={"description": "Confidence as written; NULL where not finite"}),
        pa.field("segmentation", pa.string(), metadata={"description": "COCO RLE as JSON; NULL if none"}),
        pa.field("rank", pa.int32(), nullable=False, metadata={"description": "Order in the source, from 1"}),
        pa.field("source_file", pa.string(), nullable=False),
        schema.DEFECTS.field(),
    ]
)
"""Detections as written. Boxes keep negative sizes, scores whatever number they hold."""

NAMES = {"category_name": "category_name", "class_name": "class_name", "label": "label", "class": "class_"}
"""Keys under which tools write the name of a class, the first that is a text, and the struct's attribute."""

MAX_NAME_BYTES = 1000
WRAPPERS = ("annotations", "detections", "predictions", "results")
"""Keys under which tools put the list into an object, with further keys beside it."""
_LOOKS = '[{"image_id": 1, "category_id": 1, "bbox": [x, y, width, height], "score": 0.9}, ...]'
_ONE_A_LINE = re.compile(rb"\s*\{[^\n]*\}[ \t\r]*\n\s*\{")


@dataclass(frozen=True)
class FileChunk:
    """A byte range of a results file; ``exact`` where its borders are certain.

    With ``shares``: some files of a folder, or images of a file, whose boxes are shares of the picture.
    """

    path: str
    start: int
    end: int
    exact: bool = False
    shares: bool = False


class DetectionRow(Row, forbid_unknown_fields=False, gc=False, rename={"class_": "class"}):
    """A detection; of segmentation results the box may be absent, and some tools name the class beside its id."""

    image_id: Int64
    score: float
    category_id: Int64 | None = None
    bbox: tuple[float, float, float, float] | None = None
    segmentation: Raw = UNSET
    category_name: Raw = UNSET
    class_name: Raw = UNSET
    label: Raw = UNSET
    class_: Raw = UNSET


def plan(path: str | Path, *, exact: bool = False) -> list[FileChunk]:
    """The chunks of a results file, about 16 MiB each, in its order.

    Raises:
        UsageError: the file is not there.
        DetrayError: it is neither one JSON list nor an object with one list of `WRAPPERS`.
    """
    path = here(str(path))
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file; check the path of the detections")
    file = open_json(str(path))
    found = _only_list(file, exact=exact)
    return [FileChunk(str(path), start, end, exact) for start, end in cut(file, found, exact=exact)]


def _only_list(file: JsonFile, *, exact: bool) -> JsonList:
    """The list of detections: the file itself, or what an object wraps."""
    head = file.read(file.start, file.start + 4096)
    if head.startswith(b"\x1f\x8b"):
        raise DetrayError(f"{file.path}: compressed by gzip; unpack it (gunzip) and name the unpacked file")
    opening = head.lstrip()[:1]
    if opening == b"{":
        if _ONE_A_LINE.match(head):
            raise DetrayError(f"{file.path}: one JSON object a line; put them in one list, as {_LOOKS}")
        lists = find_lists(file, WRAPPERS, exact=exact)
        if len(lists) != 1:
            wanted = " or ".join(f"'{name}'" for name in WRAPPERS)
            raise DetrayError(
                f"{file.path}: a JSON object with {len(lists)} lists of detections ({wanted}); COCO results are one"
                f" list, as {_LOOKS}"
            )
        return lists[0]
    if opening not in (b"[", b""):
        raise DetrayError(f"{file.path}: not JSON; detections are read as COCO results, as {_LOOKS}")
    return find_only_list(file)


def read(chunk: FileChunk) -> pa.Table:
    """The rows of one chunk, as `RAW`; ``rank`` counts from 1 within it.

    Raises:
        WrongCut: the chunk does not parse and was not cut exactly: plan the file again with ``exact``.
        BrokenJson: the file is not JSON there.
    """
    blocks = read_blocks(open_json(chunk.path), chunk.start, chunk.end, DetectionRow, _repair, exact=chunk.exact)
    return number_ranks([_table(found, chunk.path) for found in blocks])


def _table(found: ParsedRows[DetectionRow], path: str) -> pa.Table:
    rows, count = found.rows, len(found.rows)
    masks = [raw_text(row.segmentation) for row in rows]
    boxes = list(map(attrgetter("bbox"), rows))
    if None in boxes:
        _fill_boxes(boxes, masks)
    defects = found.defects_column()
    columns = {
        "image_id": column(rows, "image_id", pa.int64()),
        "category_id": column(rows, "category_id", pa.int64()),
        "category_name": _names(rows),
        **box_columns(boxes),
        "score": column(rows, "score", pa.float64()),
        "segmentation": pa.array(masks, pa.string()) if any(masks) else pa.nulls(count, pa.string()),
        "rank": pa.nulls(count, pa.int32()),  # counted by `number_ranks`
        "source_file": pa.repeat(path, count),
        "defects": pa.array(defects, _DEFECTS) if defects else pa.nulls(count, _DEFECTS),
    }
    return pa.table(columns, schema=RAW)


def _names(rows: Sequence[DetectionRow]) -> pa.Array:
    """What each row calls its class."""
    found = pa.nulls(len(rows), pa.string())
    for attribute in NAMES.values():
        written = list(map(attrgetter(attribute), rows))
        if any(value is not UNSET for value in written):
            texts = [b"" if value is UNSET else bytes(value) for value in written]
            names = {text: _name(text) for text in set(texts)}
            found = pc.coalesce(found, pa.array([names[text] for text in texts], pa.string()))
    return found


def _name(text: bytes) -> str | None:
    if text[:1] != b'"' or len(text) > MAX_NAME_BYTES:
        return None
    try:
        return class_name(msgspec.json.decode(text, type=str))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def class_name(value: object) -> str | None:
    """The name of a class, if it is one."""
    return clean(value).strip() or None if isinstance(value, str) and len(value) <= MAX_NAME_BYTES else None


def read_all(path: str | Path) -> pa.Table:
    """A whole results file, as `RAW`, ``rank`` counted through; for files that fit in memory.

    Raises:
        DetrayError: as `plan` and `read`.
    """
    try:
        return number_ranks([read(chunk) for chunk in plan(path)])
    except WrongCut:
        return number_ranks([read(chunk) for chunk in plan(path, exact=True)])


def number_ranks(parts: Sequence[pa.Table]) -> pa.Table:
    """Tables that follow one another, as one whose ``rank`` counts through."""
    whole = pa.concat_tables(parts).combine_chunks() if parts else RAW.empty_table()
    ranks = pa.array(np.arange(1, whole.num_rows + 1, dtype=np.int32))
    return whole.set_column(RAW.get_field_index("rank"), RAW.field("rank"), ranks)


def _repair(row: dict[str, Any], defects: Defects) -> DetectionRow:
    """A detection that is not as it should be."""
    names = {NAMES[key]: json.dumps(row[key]).encode() for key in NAMES if class_name(row.get(key)) is not None}
    fields: dict[str, Any] = {name: msgspec.Raw(text) for name, text in names.items()}
    fields["image_id"] = values.integer_of(row, "image_id", defects)
    if "category_id" in row or not names:
        fields["category_id"] = values.integer_of(row, "category_id", defects)
    fields["score"] = values.number_of(row, "score", defects)
    if row.get("bbox") is not None or row.get("segmentation") is None:
        fields["bbox"] = values.box_of(row, "bbox", defects)
    if isinstance(row.get("segmentation"), list | dict):
        fields["segmentation"] = msgspec.Raw(values.as_json(row["segmentation"], "segmentation", defects).encode())
    return DetectionRow(**fields)


def _fill_boxes(boxes: list[tuple[float | None, ...] | None], masks: Sequence[str | None]) -> None:
    """Replace each None: by the bounds of the row's run-length encoded mask, as pycocotools' loadRes does."""
    lacking = [index for index, box in enumerate(boxes) if box is None]
    codes = {index: code for index in lacking if (code := read_mask(masks[index], math.nan, math.nan))}
    for index in lacking:
        boxes[index] = (None,) * 4
    if codes:
        from pycocotools import mask

        for index, box in zip(codes, mask.toBbox(list(codes.values())).tolist(), strict=True):
            boxes[index] = tuple(box)

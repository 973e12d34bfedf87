"""COCO JSON: one object with the lists images, annotations and categories (cocodataset.org/#format-data).

LVIS (images without file_name: its coco_url names the file) and Objects365 are read as they are;
fields that have no column are kept in ``attributes``. So is ``ignore``, which pycocotools overwrites
with iscrowd, and which converters use for several things. What stands beside the three lists (info,
licenses, videos, ...) is counted.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET

from detray.errors import DetrayError
from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.coco.rows import (
    AnnotationRow,
    CategoryRow,
    ImageRow,
    repair_annotation,
    repair_category,
    repair_image,
)
from detray.formats.format import PLAN
from detray.formats.json.file import JsonFile, open_json
from detray.formats.json.lists import broken, cut, find_lists
from detray.formats.json.rows import (
    NOTHING,
    ParsedRows,
    box_columns,
    column,
    raw_texts,
    read_blocks,
    read_rows,
)
from detray.formats.source import Source
from detray.formats.values import Defects

LISTS = ("images", "annotations", "categories")
_BETWEEN = "between the lists"
_HEAD_BYTES = 1 << 16
_TOP_KEY = re.compile(rb'^\s*\{\s*"(images|annotations|categories|info|licenses|type|videos)"\s*:')
_ANY_LIST = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')


@dataclass(frozen=True)
class Coco:
    """The format ``coco``."""

    name = "coco"
    has_ids = True
    applies_list = False

    def recognises(self, path: Path) -> bool:
        if not path.is_file():
            return False
        file = open_json(str(path))
        head = file.read(file.start, file.start + _HEAD_BYTES)
        return bool(_TOP_KEY.match(head) or (head.lstrip().startswith(b"{") and _ANY_LIST.search(head)))

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """A chunk is a byte range of one list of one file, or of what stands between its lists."""
        chunks: list[list[dict[str, Any]]] = []
        for path in source.annotations:
            file = open_json(path)
            lists = find_lists(file, LISTS, exact=exact)
            if not any(found.name == "images" for found in lists):
                raise DetrayError(f"{path}: has no list 'images', so it is no COCO data set; check the file")
            chunks += [
                [{"file": path, "part": found.name, "start": start, "end": end}]
                for found in lists
                for start, end in cut(file, found, exact=exact)
            ]
            starts, ends = [file.start, *(found.end for found in lists)], [*(found.start for found in lists), file.size]
            between = list(zip(starts, ends, strict=True))
            if _further(file, between):
                chunks.append([{"file": path, "part": _BETWEEN, "start": start, "end": end} for start, end in between])
        rows = [row | {"chunk": number} for number, pieces in enumerate(chunks) for row in pieces]
        return pa.Table.from_pylist(rows, PLAN)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        piece, *others = pieces.to_pylist()
        path, start, end = piece["file"], piece["start"], piece["end"]
        file = open_json(path)
        if piece["part"] == _BETWEEN:
            return Chunk(further=_further(file, [(part["start"], part["end"]) for part in (piece, *others)]))
        annotator = Path(path).stem if len(source.annotations) > 1 else None
        if piece["part"] == "images":
            images = read_blocks(file, start, end, ImageRow, repair_image, exact=exact)
            return Chunk(images=_listed("image_row", (_images(rows, path) for rows in images)), image_rows_of=path)
        if piece["part"] == "annotations":
            blocks = read_blocks(file, start, end, AnnotationRow, repair_annotation, exact=exact)
            boxes = (_annotations(rows, path, annotator) for rows in blocks)
            return Chunk(annotations=_listed("annotation_row", boxes), annotation_rows_of=path)
        categories = read_rows(file, start, end, CategoryRow, repair_category, exact=exact)
        return _categories(categories, path)


def _further(file: JsonFile, between: Sequence[tuple[int, int]]) -> dict[str, int]:
    """What a file states beside its lists of rows, whose places ``between`` leaves out: entries by name."""
    text = b"[]".join(file.read(start, end) for start, end in between).decode("utf-8", "replace")
    try:
        found = json.loads(text, strict=False, parse_int=str)  # integers of many digits cost time
    except RecursionError:
        raise broken(file, file.start, "nested too deeply outside of the lists that are read") from None
    return {
        values.clean(name): len(value) if isinstance(value, list) else 1
        for name, value in found.items()
        if name not in LISTS
    }


def _listed(position: str, blocks: Iterable[pa.Table]) -> pa.Table:
    """Blocks one after another, with each row's position among all of them."""
    table = pa.concat_tables(blocks).unify_dictionaries().combine_chunks()
    index = table.schema.get_field_index(position)
    return table.set_column(index, table.schema.field(index), pa.array(np.arange(table.num_rows)))


def _images(found: ParsedRows[ImageRow], path: str) -> pa.Table:
    rows = found.rows
    return chunk.table(
        chunk.IMAGES,
        len(rows),
        image_id=column(rows, "id", pa.int64()),
        file_name=column(rows, "file_name", pa.string()),
        width=column(rows, "width", pa.int64()),
        height=column(rows, "height", pa.int64()),
        source_file=path,
        attributes=found.attributes,
        defects=found.defects_column(),
    )


def _annotations(found: ParsedRows[AnnotationRow], path: str, annotator: str | None) -> pa.Table:
    rows = found.rows
    boxes = box_columns(list(map(attrgetter("bbox"), rows)))
    area = column(rows, "area", pa.float64())
    if area.null_count:
        area = pc.coalesce(area, pc.multiply(boxes["width"], boxes["height"]))
    segmentation = _segmentations(found)
    annotators = list(map(attrgetter("annotator"), rows))
    return chunk.table(
        chunk.ANNOTATIONS,
        len(rows),
        annotation_id=column(rows, "id", pa.int64()),
        image_id=column(rows, "image_id", pa.int64()),
        category_id=column(rows, "category_id", pa.int64()),
        **boxes,
        area=area,
        is_crowd=pa.array(np.fromiter(map(attrgetter("iscrowd"), rows), np.bool_, len(rows))),
        is_difficult=pa.array(np.fromiter(map(attrgetter("difficult"), rows), np.bool_, len(rows))),
        segmentation=segmentation,
        annotator=[name or annotator for name in annotators] if any(annotators) else annotator,
        source_file=path,
        attributes=found.attributes,
        defects=found.defects_column(),
    )


def _segmentations(found: ParsedRows[AnnotationRow]) -> pa.Array | None:
    """The masks as written; None if no row has one."""
    masks = list(map(attrgetter("segmentation"), found.rows))
    if masks.count(UNSET) == len(masks):
        return None
    texts = raw_texts(masks)
    texts = pc.if_else(pc.is_in(texts, value_set=pa.array(NOTHING)), None, texts)
    is_mask = pc.is_in(pc.binary_slice(texts.cast(pa.binary()), 0, 1), value_set=pa.array([b"[", b"{"]))
    wrong = pc.and_(texts.is_valid(), pc.invert(is_mask))
    for index in np.flatnonzero(wrong):
        found.defects.setdefault(int(index), Defects()).note("wrong-type", "segmentation", texts[index].as_py())
    return pc.if_else(wrong, None, texts)


def _categories(found: ParsedRows[CategoryRow], path: str) -> Chunk:
    """Categories without an id cannot stand in a table about classes: they are quarantined."""
    rows, defects = found.rows, found.defects_column()
    everything = chunk.table(
        chunk.CATEGORIES,
        len(rows),
        category_id=[row.id for row in rows],
        category_name=[row.name for row in rows],
        source_file=[path] * len(rows),
        attributes=found.attributes,
        defects=defects,
    )
    lost = [index for index, row in enumerate(rows) if row.id is None]
    quarantine = chunk.table(
        chunk.QUARANTINE,
        len(lost),
        source_file=[path] * len(lost),
        row=lost,
        reason=["category-without-id"] * len(lost),
        detail=[f"name {rows[index].name!r}; {found.defects[index][0]['observed']!r} is no id" for index in lost],
    )
    return Chunk(categories=everything.filter(pc.is_valid(everything["category_id"])), quarantine=quarantine)

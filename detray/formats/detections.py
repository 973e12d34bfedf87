"""COCO results JSON: a list of detections (cocodataset.org/#format-results).

`plan` and `read` give the raw rows of a file, byte range by byte range, everything as written, which
is what diagnosis looks at; `validate` divides them into `predictions` and `quarantine`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
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
from detray.formats.json_file import JsonFile, open_json
from detray.formats.json_lists import JsonList, cut, find_lists, find_only_list
from detray.formats.json_rows import Int64, Raw, Row, Rows, WrongCut, box_columns, column, raw_text, read_blocks
from detray.formats.values import Defects
from detray.masks import read_mask
from detray.tables import lookup

_SIDES = ("x", "y", "width", "height")
_DEFECTS = schema.DEFECTS.type
RAW = pa.schema(
    [
        pa.field("image_id", pa.int64(), metadata={"description": "The image; NULL where not readable"}),
        pa.field("category_id", pa.int64(), metadata={"description": "The class; NULL where not readable"}),
        *(schema.schema("annotations").field(side) for side in _SIDES),
        pa.field("score", pa.float64(), metadata={"description": "Confidence as written; NULL where not finite"}),
        pa.field("segmentation", pa.string(), metadata={"description": "COCO RLE as JSON; NULL if none"}),
        pa.field("rank", pa.int32(), nullable=False, metadata={"description": "Order in the source, from 1"}),
        pa.field("source_file", pa.string(), nullable=False),
        schema.DEFECTS.field(),
    ]
)
"""Detections as written. Boxes keep negative sizes, scores whatever number they hold."""

WRAPPERS = ("annotations", "detections", "predictions", "results")
"""Keys under which tools put the list into an object, with further keys beside it."""
_LOOKS = '[{"image_id": 1, "category_id": 1, "bbox": [x, y, width, height], "score": 0.9}, ...]'
_ONE_A_LINE = re.compile(rb"\s*\{[^\n]*\}[ \t\r]*\n\s*\{")

REASONS = {
    "nan-score": "its score is not finite",
    "not-finite-box": "its box is not finite",
    "unreadable-row": "its image, class, box or score is absent or cannot be read",
    "score-out-of-range": "its score is not from 0 to 1",
    "negative-size": "its box has a negative width or height",
    "unknown-image": "its image is not in the ground truth",
    "unknown-category": "its class is not in the ground truth",
}
"""Why a detection is left out, the first that holds, in this order."""


@dataclass(frozen=True)
class Part:
    """A byte range of a results file; ``exact`` where its borders are certain."""

    path: str
    start: int
    end: int
    exact: bool = False


class DetectionRow(Row, forbid_unknown_fields=False, gc=False):
    """A detection; of segmentation results the box may be absent."""

    image_id: Int64
    category_id: Int64
    score: float
    bbox: tuple[float, float, float, float] | None = None
    segmentation: Raw = UNSET


def plan(path: str | Path, *, exact: bool = False) -> list[Part]:
    """The parts of a results file, about 16 MiB each, in its order.

    Raises:
        UsageError: the file is not there.
        DetrayError: it is neither one JSON list nor an object with one list of `WRAPPERS`.
    """
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file; check the path of the detections")
    file = open_json(str(path))
    found = _only_list(file, exact=exact)
    return [Part(str(path), start, end, exact) for start, end in cut(file, found, exact=exact)]


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


def read(part: Part) -> pa.Table:
    """The rows of one part, as `RAW`; ``rank`` counts from 1 within the part.

    Raises:
        WrongCut: the part does not parse and was not cut exactly: plan the file again with ``exact``.
        BrokenJson: the file is not JSON there.
    """
    blocks = read_blocks(open_json(part.path), part.start, part.end, DetectionRow, _repair, exact=part.exact)
    return number_ranks([_table(found, part.path) for found in blocks])


def _table(found: Rows[DetectionRow], path: str) -> pa.Table:
    rows, count = found.rows, len(found.rows)
    masks = [raw_text(row.segmentation) for row in rows]
    boxes = list(map(attrgetter("bbox"), rows))
    if None in boxes:
        _fill_boxes(boxes, masks)
    defects = found.defects_column()
    columns = {
        "image_id": column(rows, "image_id", pa.int64()),
        "category_id": column(rows, "category_id", pa.int64()),
        **box_columns(boxes),
        "score": column(rows, "score", pa.float64()),
        "segmentation": pa.array(masks, pa.string()) if any(masks) else pa.nulls(count, pa.string()),
        "rank": pa.nulls(count, pa.int32()),  # counted by `number_ranks`
        "source_file": pa.repeat(path, count),
        "defects": pa.array(defects, _DEFECTS) if defects else pa.nulls(count, _DEFECTS),
    }
    return pa.table(columns, schema=RAW)


def read_all(path: str | Path) -> pa.Table:
    """A whole results file, as `RAW`, ``rank`` counted through; for files that fit in memory.

    Raises:
        DetrayError: as `plan` and `read`.
    """
    try:
        return number_ranks([read(part) for part in plan(path)])
    except WrongCut:
        return number_ranks([read(part) for part in plan(path, exact=True)])


def number_ranks(parts: Sequence[pa.Table]) -> pa.Table:
    """Tables that follow one another, as one whose ``rank`` counts through."""
    whole = pa.concat_tables(parts).combine_chunks() if parts else RAW.empty_table()
    ranks = pa.array(np.arange(1, whole.num_rows + 1, dtype=np.int32))
    return whole.set_column(RAW.get_field_index("rank"), RAW.field("rank"), ranks)


def with_classes(raw: pa.Table, classes: Mapping[int, int]) -> pa.Table:
    """Raw detections whose class ids are the data set's: ``classes`` says what theirs mean; others stay."""
    if not classes:
        return raw
    place = pc.index_in(raw["category_id"], value_set=pa.array(list(classes), pa.int64()))
    meant = pa.chunked_array([pa.array(list(classes.values()), pa.int64()).take(place.combine_chunks())])
    index = RAW.get_field_index("category_id")
    return raw.set_column(index, RAW.field(index), pc.coalesce(meant, raw["category_id"]))


def image_texts(raw: pa.Table) -> pa.Array:
    """Of each row whose image_id is text and no number, that text; else NULL."""
    defects = raw["defects"].combine_chunks()
    if defects.null_count == len(defects):
        return pa.nulls(raw.num_rows, pa.string())
    found = np.full(raw.num_rows, None, object)
    notes, rows = defects.flatten(), pc.list_parent_indices(defects).to_numpy()
    is_text = pc.and_(pc.equal(notes.field("field"), "image_id"), pc.equal(notes.field("rule"), "wrong-type"))
    chosen = np.flatnonzero(is_text.to_numpy(zero_copy_only=False))
    found[rows[chosen]] = notes.field("observed").take(pa.array(chosen)).to_numpy(zero_copy_only=False)
    return pc.if_else(raw["image_id"].is_null().combine_chunks(), pa.array(found, pa.string()), None)


def image_names(images: pa.Table) -> pa.Table:
    """The columns name and image_id: file names, as they stand, without folders, and without ending.

    A name that several images share names none of them.
    """
    forms = _forms(images["file_name"].combine_chunks())
    listed = pa.table(
        {"name": pa.concat_arrays(forms), "image_id": pa.chunked_array([images["image_id"]] * len(forms))}
    )
    owners = listed.group_by("name").aggregate([("image_id", "min"), ("image_id", "max")])
    alone = owners.filter(pc.equal(owners["image_id_min"], owners["image_id_max"]))
    return alone.select(["name", "image_id_min"]).rename_columns(["name", "image_id"])


def with_image_names(raw: pa.Table, names: pa.Table) -> pa.Table:
    """Raw detections in which those that name their image by its file name (`image_names`) have its id."""
    found = [lookup(form, names, "name", "image_id") for form in _forms(image_texts(raw))]
    return _with_images(raw, pc.coalesce(*found))


def with_unknown_images(raw: pa.Table) -> pa.Table:
    """Raw detections in which those that name their image by any text have a negative id, the same for each text."""
    texts = image_texts(raw).dictionary_encode()
    ids = [-1 - int.from_bytes(blake2b(text.encode(), digest_size=7).digest()) for text in texts.dictionary.to_pylist()]
    return _with_images(raw, pa.array(ids, pa.int64()).take(texts.indices))


def _forms(name: pa.Array) -> list[pa.Array]:
    """Names as they stand, without folders, and both without ending."""
    base = pc.replace_substring_regex(name, r"^.*[/\\]", "")
    return [name, base, *(pc.replace_substring_regex(form, r"\.[A-Za-z0-9]{1,5}$", "") for form in (name, base))]


def _with_images(raw: pa.Table, ids: pa.Array) -> pa.Table:
    """Raw detections with these images where they name none by a number."""
    index = RAW.get_field_index("image_id")
    return raw.set_column(index, RAW.field(index), pc.coalesce(raw["image_id"], pa.chunked_array([ids])))


def left_out(quarantine: pa.Table) -> list[tuple[str, int, int, str]]:
    """By reason: how many rows, and the first one's position and numbers; in the order of `REASONS`."""
    found = []
    for reason in REASONS:
        rows = quarantine.filter(pc.equal(quarantine["reason"], reason))
        if rows.num_rows:
            row = pc.min(rows["row"]).as_py()
            detail = rows["detail"][pc.index(rows["row"], row).as_py()].as_py()
            found.append((reason, rows.num_rows, row, detail))
    return found


def validate(
    raw: pa.Table, images: pa.Table, categories: pa.Table, *, run: str, model: str, split: str, stage: str = "predict"
) -> tuple[pa.Table, pa.Table]:
    """Divide raw detections into those that can be scored and those that are left out.

    Args:
        raw: as `RAW`.
        images: of the split, with image_id and file_name; a duplicate id counts once.
        categories: of the split, with category_id and category_name.
        run, model, split, stage: what the rows are marked with.

    Returns:
        ``predictions`` in the order of ``raw``, and ``quarantine``, whose ``row`` is the position in
        the source file from 0 and whose ``reason`` is one of `REASONS`.
    """
    reasons = _reasons(raw, _ids(images, "image_id"), _ids(categories, "category_id"))
    is_good = pa.array(reasons == "")
    good, bad = raw.filter(is_good), raw.filter(pc.invert(is_good))
    predictions = schema.conform(
        good.drop_columns(["source_file", "defects"])
        .append_column("run", pa.repeat(run, good.num_rows))
        .append_column("model", pa.repeat(model, good.num_rows))
        .append_column("split", pa.repeat(split, good.num_rows))
        .append_column("file_name", lookup(good["image_id"], images, "image_id", "file_name"))
        .append_column("category_name", lookup(good["category_id"], categories, "category_id", "category_name")),
        "predictions",
    )
    quarantine = schema.from_columns(
        "quarantine",
        {
            "stage": pa.repeat(stage, bad.num_rows),
            "split": pa.repeat(split, bad.num_rows),
            "source_file": bad["source_file"],
            "row": pc.subtract(bad["rank"].cast(pa.int64()), 1),
            "reason": pa.array(reasons[reasons != ""], pa.string()),
            "detail": _details(bad),
        },
        run=run,
    )
    return predictions, quarantine


def _reasons(raw: pa.Table, images: pa.Array, categories: pa.Array) -> np.ndarray:
    """For each row the first of `REASONS` that holds, else an empty string; shape ``[n]``, objects."""
    x, y, width, height = (raw[side] for side in _SIDES)
    no_box = pc.is_null(pc.add(pc.add(x, y), pc.add(width, height)))
    no_score = pc.is_null(raw["score"])
    is_named = pa.chunked_array([image_texts(raw).is_valid()])
    no_image = pc.and_(pc.is_null(raw["image_id"]), pc.invert(is_named))
    no_id = pc.or_(no_image, pc.is_null(raw["category_id"]))
    infinite_score, infinite_box = _not_finite(raw["defects"])
    holds = {
        "nan-score": infinite_score,
        "not-finite-box": infinite_box,
        "unreadable-row": pc.or_(no_id, pc.or_(no_score, no_box)),
        "score-out-of-range": pc.or_(pc.less(raw["score"], 0.0), pc.greater(raw["score"], 1.0)),
        "negative-size": pc.or_(pc.less(width, 0.0), pc.less(height, 0.0)),
        "unknown-image": pc.or_(is_named, pc.invert(pc.is_in(raw["image_id"], value_set=images))),
        "unknown-category": pc.invert(pc.is_in(raw["category_id"], value_set=categories)),
    }
    reasons = np.full(raw.num_rows, "", dtype=object)
    for name in reversed(REASONS):
        test = holds[name]
        reasons[test if isinstance(test, np.ndarray) else pc.fill_null(test, False).to_numpy()] = name
    return reasons


def _not_finite(defects: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose score, and rows whose box, was written as NaN or Infinity."""
    score, box = np.zeros(len(defects), np.bool_), np.zeros(len(defects), np.bool_)
    for index in np.flatnonzero(defects.is_valid().to_numpy()).tolist():
        for defect in defects[index].as_py():
            if defect["rule"] == "not-finite":
                score[index] |= defect["field"] == "score"
                box[index] |= defect["field"].startswith("bbox")
    return score, box


def _ids(table: pa.Table, column: str) -> pa.Array:
    return pc.unique(table[column]).drop_null()


def _details(bad: pa.Table) -> pa.Array:
    """The numbers of each row as text."""
    image = pc.coalesce(bad["image_id"].cast(pa.string()), pa.chunked_array([image_texts(bad)]))
    bad = bad.set_column(bad.column_names.index("image_id"), "image_id", image)
    texts = []
    labels = {"image_id": "image ", "category_id": ", class ", "score": ", score ", "x": ", box "}
    for name in (*labels, "y", "width", "height"):
        texts += [labels.get(name, " "), pc.fill_null(bad[name].cast(pa.string()), "?")]
    return pc.binary_join_element_wise(*texts, "")


def _repair(row: dict[str, Any], defects: Defects) -> DetectionRow:
    """A detection that is not as it should be."""
    fields: dict[str, Any] = {name: values.integer_of(row, name, defects) for name in ("image_id", "category_id")}
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

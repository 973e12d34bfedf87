"""Open Images CSV: a row a box (storage.googleapis.com/openimages/web/download_v7.html).

Boxes are fractions of the picture, whose header is read for its size from the image folder
(``<ImageID>.jpg``, else the picture there of that name with another suffix; other tools write the
suffix into ImageID); where none is stated, the fractions stay in ``attributes``. Groups (IsGroupOf)
are crowds; -1 says that a flag is not known. Classes are machine ids (/m/01g317), which a label map names.
"""

import io
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from detray.errors import DetrayError
from detray.files import PICTURE_SUFFIXES, open_file
from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.format import PLAN
from detray.formats.fractions import judge
from detray.formats.listing import files_below
from detray.formats.picture_size import picture_size
from detray.formats.source import Source, locate
from detray.formats.values import Defects

CHUNK_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 20
_REQUIRED = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")
_SIDES = ("XMin", "YMin", "XMax", "YMax")
_FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
_WORDS = {"true": True, "false": False, "": False}


@dataclass(frozen=True)
class OpenImages:
    """The format ``open_images``."""

    name = "open_images"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with open_file(path) as file:
            return set(_REQUIRED) <= set(_columns(file.readline(MAX_LINE_BYTES)))

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """A chunk is the lines of a byte range of one file; ``part`` is the number of the first."""
        rows: list[dict[str, Any]] = []
        for path in source.annotations:
            _check_header(path)
            rows += [{"file": path, "part": str(line), "start": start, "end": end} for line, start, end in _cut(path)]
        return pa.Table.from_pylist([row | {"chunk": number} for number, row in enumerate(rows)], PLAN)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        (piece,) = pieces.to_pylist()
        path = piece["file"]
        with open_file(path) as file:
            columns = _columns(file.readline(MAX_LINE_BYTES))
            file.seek(piece["start"])
            text = file.read(piece["end"] - piece["start"])
        first = int(piece["part"])
        table, rows, lost = _parse(text, columns, first)
        files = _file_names(table, source)
        images = _images(files, source, path)
        return Chunk(
            images=images,
            annotations=_annotations(
                table, rows, files, images, path, first + _no_text(text), with_pictures=source.images is not None
            ),
            categories=_categories(table),
            quarantine=pa.Table.from_pylist(
                [{"source_file": path, "reason": "unreadable-row"} | row for row in lost], chunk.QUARANTINE
            ),
        )


def _columns(line: bytes) -> list[str]:
    text = line.decode("utf-8-sig", "replace").strip("\r\n")
    return [name.strip().strip('"') for name in text.split(",")]


def _check_header(path: str) -> None:
    try:
        with open_file(path) as file:
            columns = _columns(file.readline(MAX_LINE_BYTES))
    except OSError as error:
        raise DetrayError(f"{path}: cannot be read ({error.strerror}); state the CSV file itself") from None
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise DetrayError(f"{path}, line 1: no column {', '.join(missing)}; Open Images boxes need them all")
    if len(set(columns)) < len(columns):
        raise DetrayError(f"{path}, line 1: a column stands twice; repair the header")


def _cut(path: str) -> Iterator[tuple[int, int, int]]:
    """Parts of whole lines behind the header: number of the first line, from 0, and byte range."""
    size = os.path.getsize(path)  # noqa: PTH202 - a path as text
    line = 0
    with open_file(path) as file:
        file.readline(MAX_LINE_BYTES)
        while (start := file.tell()) < size:
            text = file.read(CHUNK_BYTES)
            rest = file.readline(MAX_LINE_BYTES)
            if len(rest) == MAX_LINE_BYTES:
                where = f"{path}, byte {start + len(text)}"
                raise DetrayError(f"{where}: a line is longer than {MAX_LINE_BYTES} bytes; repair the file")
            yield line, start, file.tell()
            line += text.count(b"\n") + rest.count(b"\n")


def _parse(text: bytes, columns: list[str], first: int) -> tuple[pa.Table, np.ndarray, list[dict[str, Any]]]:
    """The fields of each line as text, the lines' numbers, and the lines with another number of fields."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        text = text.decode("utf-8", "replace").encode()
    # a line ends with \n alone: Arrow would end one at \r too, and stop at NUL
    text = text.replace(b"\r\n", b"\n").translate(bytes.maketrans(b"\r\0", b"  "))
    lines = np.flatnonzero([bool(line) for line in text.split(b"\n")])
    if not len(lines):
        return pa.table({name: pa.array([], pa.string()) for name in columns}), lines, []
    bad: dict[int, str] = {}

    def skip(row: csv.InvalidRow) -> str:
        bad[row.number - 1] = f"{row.actual_columns} fields where {row.expected_columns} are expected: {row.text}"
        return "skip"

    table = csv.read_csv(
        io.BytesIO(re.sub(rb"\n+", b"\n", text.strip(b"\n"))),
        csv.ReadOptions(use_threads=False, column_names=columns, block_size=len(text) + 1),
        csv.ParseOptions(quote_char=False, invalid_row_handler=skip),
        csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False),
    )
    lost = [{"row": first + int(lines[place]), "detail": detail[:200]} for place, detail in bad.items()]
    if b'"' in text:
        table = pa.table([_unquoted(column) for column in table.columns], columns)
    return table, first + np.delete(lines, list(bad)), lost


def _unquoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Fields without the quotes around them; a quote by itself stays, or it would swallow what follows."""
    return pc.replace_substring_regex(column, r'^\s*"([^"]*)"\s*$', r"\1")


def _no_text(text: bytes) -> np.ndarray:
    """Numbers of the lines that hold NUL or bytes that are no UTF-8."""
    if not _is_text(text):
        return np.flatnonzero([not _is_text(line) for line in text.split(b"\n")])
    return np.zeros(0, np.int64)


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in data


def _file_names(table: pa.Table, source: Source) -> dict[str, str]:
    """The picture's file name of each ImageID."""
    found: dict[str, str] = {}
    others: dict[str, str] | None = None
    allowed = source.folders
    for name in pc.unique(table["ImageID"]).to_pylist():
        if not name:
            continue
        has_suffix = name.lower().endswith(PICTURE_SUFFIXES)
        found[name] = name if has_suffix else f"{name}.jpg"
        if source.images is None or _is_there(source.images, found[name], allowed):
            continue
        if has_suffix and _is_there(source.images, f"{name}.jpg", allowed):
            found[name] += ".jpg"
            continue
        if others is None:  # listed only where a picture is not called as most are
            paths = (path.rpartition("/")[2] for path in files_below(source.images, PICTURE_SUFFIXES))
            others = {file.rpartition(".")[0]: file for file in paths}
        found[name] = others.get(name, found[name])
    return found


def _is_there(folder: str, name: str, allowed: tuple[str, ...]) -> bool:
    place = locate(folder, name, allowed)
    return place is not None and os.path.exists(place)  # noqa: PTH110 - half of pathlib's cost a name


def _images(files: Mapping[str, str], source: Source, path: str) -> pa.Table:
    """A row for each picture that the lines name, with the size from its header."""
    names = list(dict.fromkeys(files.values()))
    allowed = source.folders
    places = [source.images and locate(source.images, name, allowed) for name in names]
    sizes = [picture_size(place or None) for place in places]
    missing = Defects()
    missing.note("missing-field", "picture size", "no readable picture")
    return chunk.table(
        chunk.IMAGES,
        len(names),
        file_name=names,
        width=[size and size[0] for size in sizes],
        height=[size and size[1] for size in sizes],
        source_file=path,
        defects=[None if size or source.images is None else missing for size in sizes],
        key=names,
    )


def _annotations(
    table: pa.Table,
    rows: np.ndarray,
    files: Mapping[str, str],
    images: pa.Table,
    path: str,
    no_text: np.ndarray,
    *,
    with_pictures: bool,
) -> pa.Table:
    count = table.num_rows
    defects: dict[int, Defects] = {}
    for index in np.flatnonzero(np.isin(rows, no_text)).tolist():
        defects.setdefault(index, Defects()).note("wrong-type", "", "bytes that are no text")
    images_of, names = (_names(table, field, defects) for field in ("ImageID", "LabelName"))
    keys = _looked_up(images_of, files, pa.string())
    place = pc.index_in(keys, value_set=images["key"].combine_chunks(), skip_nulls=True)
    sizes = [images[side].cast(pa.float64()).take(place.combine_chunks()).to_numpy() for side in ("width", "height")]
    fractions = [_numbers(table[side], side, defects) for side in _SIDES]
    _judge(fractions, np.isnan(sizes[0]), defects)
    corners = [side * size for side, size in zip(fractions, sizes * 2, strict=True)]
    for index in np.flatnonzero(np.isnan(sizes[0]) & pc.is_valid(keys).to_numpy()).tolist() if with_pictures else ():
        defects.setdefault(index, Defects()).note("missing-field", "picture size", "")
    x, y, right, bottom = corners
    flags = {name: _flags(table[name], name, defects) for name in _FLAGS if name in table.column_names}
    return chunk.table(
        chunk.ANNOTATIONS,
        count,
        annotation_row=pa.array(rows, pa.int64()),
        x=pa.array(x, from_pandas=True),
        y=pa.array(y, from_pandas=True),
        width=pa.array(right - x, from_pandas=True),
        height=pa.array(bottom - y, from_pandas=True),
        area=pa.array((right - x) * (bottom - y), from_pandas=True),
        is_crowd=flags.get("IsGroupOf", np.zeros(count, np.bool_)),
        is_difficult=np.zeros(count, np.bool_),
        source_file=path,
        attributes=_attributes(
            table, (*_REQUIRED, "IsGroupOf") if with_pictures else ("ImageID", "LabelName", "IsGroupOf")
        ),
        defects=[defects.get(index) for index in range(count)] if defects else None,
        key=keys,
        category_name=names.dictionary_encode(),
    )


def _numbers(column: pa.ChunkedArray, field: str, defects: dict[int, Defects]) -> np.ndarray:
    """A column of text as float64 ``[n]``, NaN, noted, where it holds no finite number."""
    try:
        found = column.cast(pa.float64()).to_numpy().copy()
    except pa.ArrowInvalid:
        found = np.full(len(column), np.nan)
    for index in np.flatnonzero(~np.isfinite(found)).tolist():
        noted = defects.get(index, Defects())
        number = values.written_number(column[index].as_py(), field, noted)
        found[index] = np.nan if number is None else number
        if noted:
            defects[index] = noted
    return found


def _looked_up(column: pa.ChunkedArray, values: Mapping[str, Any], type: pa.DataType) -> pa.ChunkedArray:
    """What ``values`` has for each text of ``column``; NULL for NULL."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    found = pa.array([values[text] for text in encoded.dictionary.to_pylist()], type)
    return pa.chunked_array([found.take(encoded.indices)])


def _flags(column: pa.ChunkedArray, field: str, defects: dict[int, Defects]) -> pa.ChunkedArray:
    """Whether a flag is set; noted where it is neither 1 nor 0 (or true and false), nor -1, which says not known."""
    read = {text: _flag(text) for text in pc.unique(column).to_pylist()}
    unclear = [text for text, found in read.items() if found is None]
    for index in np.flatnonzero(pc.is_in(column, value_set=pa.array(unclear, pa.string())).to_numpy()).tolist():
        defects.setdefault(index, Defects()).note("wrong-type", field, column[index].as_py())
    return _looked_up(column, {text: bool(found) for text, found in read.items()}, pa.bool_())


def _flag(text: str) -> bool | None:
    """What a flag says; None if it is none."""
    word = text.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    number = values.parse_number(word)
    return number == 1 if number in (1, 0, -1) else None


def _judge(corners: list[np.ndarray], unsized: np.ndarray, defects: dict[int, Defects]) -> None:
    """Note what is wrong with the fractions of boxes whose picture's size is unknown, ``unsized``."""
    x, y, right, bottom = corners
    doubtful = (x >= right) | (y >= bottom) | (x < 0) | (y < 0) | (right > 1) | (bottom > 1)
    for index in np.flatnonzero(unsized & doubtful).tolist():
        noted = defects.get(index, Defects())
        judge([x[index], y[index], right[index] - x[index], bottom[index] - y[index]], noted)
        if noted:
            defects[index] = noted


def _names(table: pa.Table, field: str, defects: dict[int, Defects]) -> pa.ChunkedArray:
    """A name of each line; NULL, noted, where it is empty."""
    empty = pc.equal(table[field], "")
    for index in np.flatnonzero(empty.to_numpy()).tolist():
        defects.setdefault(index, Defects()).note("missing-field", field, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), table[field])


def _attributes(table: pa.Table, known: Collection[str]) -> pa.ChunkedArray | None:
    """The columns that are not ``known`` as JSON objects."""
    further = [name for name in table.column_names if name and name not in known]
    if not further or not table.num_rows:
        return None
    parts: list[Any] = []
    for number, name in enumerate(further):
        # few different values stand in many rows: each is written as JSON once
        encoded = table[name].combine_chunks().dictionary_encode()
        texts = pa.array(
            [values.as_json(text, name, Defects()) for text in encoded.dictionary.to_pylist()], pa.string()
        )
        parts += [f"{', ' if number else '{'}{values.as_json(name, name, Defects())}: ", texts.take(encoded.indices)]
    return pc.binary_join_element_wise(*parts, "}", "")


def _categories(table: pa.Table) -> pa.Table:
    names = sorted(name for name in pc.unique(table["LabelName"]).to_pylist() if name)
    return pa.Table.from_pylist([{"category_name": name} for name in names], chunk.CATEGORIES)

"""Lines of CSV as columns of text, part by part, each row with the number of its line."""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from detray.errors import DetrayError
from detray.files import file_size, open_file
from detray.formats import chunk, values
from detray.formats.format import PLAN
from detray.formats.source import Source
from detray.formats.values import Defects

CHUNK_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 20

RowDefects = dict[int, Defects]
"""The defects of rows that have some, by the number of the row in its table."""


def header(path: str) -> list[str]:
    """The names in the first line.

    Raises:
        DetrayError: the file cannot be read.
    """
    try:
        with open_file(path) as file:
            line = file.readline(MAX_LINE_BYTES)
    except OSError as error:
        raise DetrayError(f"{path}: cannot be read ({error.strerror}); state the CSV file itself") from None
    text = line.decode("utf-8-sig", "replace").strip("\r\n")
    return [name.strip().strip('"') for name in text.split(",")]


def require(path: str, needed: Collection[str], whose: str) -> None:
    """Refuse a file without one of the columns ``needed``, or with one twice.

    Raises:
        DetrayError: so it is.
    """
    columns = header(path)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DetrayError(f"{path}, line 1: no column {', '.join(missing)}; {whose} need them all")
    if len(set(columns)) < len(columns):
        raise DetrayError(f"{path}, line 1: a column stands twice; repair the header")


def plan(source: Source, *, with_header: bool = True) -> pa.Table:
    """A chunk is the lines of a byte range of one file; ``part`` is the number of the first, from 0."""
    rows: list[dict[str, Any]] = []
    for path in source.annotations:
        parts = _cut(path, with_header=with_header)
        rows += [{"file": path, "part": str(line), "start": start, "end": end} for line, start, end in parts]
    return pa.Table.from_pylist([row | {"chunk": number} for number, row in enumerate(rows)], PLAN)


def _cut(path: str, *, with_header: bool) -> Iterator[tuple[int, int, int]]:
    """Parts of whole lines: number of the first line, from 0 behind the header, and byte range."""
    size = file_size(path)
    line = 0
    with open_file(path) as file:
        if with_header:
            file.readline(MAX_LINE_BYTES)
        while (start := file.tell()) < size:
            text = file.read(CHUNK_BYTES)
            rest = file.readline(MAX_LINE_BYTES)
            if len(rest) == MAX_LINE_BYTES:
                where = f"{path}, byte {start + len(text)}"
                raise DetrayError(f"{where}: a line is longer than {MAX_LINE_BYTES} bytes; repair the file")
            yield line, start, file.tell()
            line += text.count(b"\n") + rest.count(b"\n")


@dataclass(frozen=True)
class Lines:
    """The lines of a part.

    Attributes:
        table: their fields as text.
        rows: the number of each line, from 0 in the file.
        defects: of lines that hold NUL or bytes that are no UTF-8.
        quarantine: lines with another number of fields, as `chunk.QUARANTINE`.
    """

    table: pa.Table
    rows: np.ndarray
    defects: RowDefects
    quarantine: pa.Table


def read_lines(piece: Mapping[str, Any], columns: list[str]) -> Lines:
    """The lines of a row of `plan`, as columns of these names."""
    path, first = piece["file"], int(piece["part"])
    with open_file(path) as file:
        file.seek(piece["start"])
        text = file.read(piece["end"] - piece["start"]).removeprefix(b"" if piece["start"] else b"\xef\xbb\xbf")
    table, places, bad = _parse(text, columns)
    no_text = np.flatnonzero(np.isin(places, _no_text(text))).tolist()
    lost = [
        {"source_file": path, "row": first + row, "reason": "unreadable-row", "detail": detail[:200]}
        for row, detail in bad.items()
    ]
    defects = {row: Defects() for row in no_text}
    for noted in defects.values():
        noted.note("wrong-type", "", "bytes that are no text")
    return Lines(table, first + places, defects, pa.Table.from_pylist(lost, chunk.QUARANTINE))


def _parse(text: bytes, columns: list[str]) -> tuple[pa.Table, np.ndarray, dict[int, str]]:
    """The fields of each line as text, the lines' numbers, and what is wrong with lines of other numbers of fields."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        text = text.decode("utf-8", "replace").encode()
    # a line ends with \n alone: Arrow would end one at \r too, and stop at NUL
    text = text.replace(b"\r\n", b"\n").translate(bytes.maketrans(b"\r\0", b"  "))
    lines = np.flatnonzero([bool(line) for line in text.split(b"\n")])
    if not len(lines):
        return pa.table({name: pa.array([], pa.string()) for name in columns}), lines, {}
    bad: dict[int, str] = {}
    quoted: dict[int, list[str]] = {}

    def skip(row: arrow_csv.InvalidRow) -> str:
        place = row.number - 1
        if '"' in row.text and len(fields := _fields(row.text)) == len(columns):
            quoted[place] = fields
        else:
            bad[place] = f"{row.actual_columns} fields where {row.expected_columns} are expected: {row.text}"
        return "skip"

    table = arrow_csv.read_csv(
        io.BytesIO(re.sub(rb"\n+", b"\n", text.strip(b"\n"))),
        arrow_csv.ReadOptions(use_threads=False, column_names=columns, block_size=len(text) + 1),
        arrow_csv.ParseOptions(quote_char=False, invalid_row_handler=skip),
        arrow_csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False),
    )
    if b'"' in text:
        table = pa.table([_unquoted(column) for column in table.columns], columns)
    if quoted:
        whole = np.delete(np.arange(len(lines)), [*bad, *quoted])
        added = pa.table([list(fields) for fields in zip(*quoted.values(), strict=True)], table.schema)
        table = pa.concat_tables([table, added]).take(np.argsort(np.append(whole, list(quoted)), kind="stable"))
    return table, np.delete(lines, list(bad)), {int(lines[place]): detail for place, detail in bad.items()}


def _fields(line: str) -> list[str]:
    """The fields of a line with commas within quotes; none where it cannot be read so."""
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return []


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


def numbers(column: pa.ChunkedArray, field: str, defects: RowDefects) -> np.ndarray:
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


def names(table: pa.Table, field: str, defects: RowDefects) -> pa.ChunkedArray:
    """A name of each line; NULL, noted, where it is empty."""
    empty = pc.equal(table[field], "")
    for index in np.flatnonzero(empty.to_numpy()).tolist():
        defects.setdefault(index, Defects()).note("missing-field", field, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), table[field])


def attributes(table: pa.Table, known: Collection[str]) -> pa.ChunkedArray | None:
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

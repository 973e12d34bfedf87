"""Open Images CSV: a row a box (storage.googleapis.com/openimages/web/download_v7.html).

Boxes are fractions of the picture, whose header is read for its size from the image folder
(``<ImageID>.jpg``, else the picture there of that name with another suffix; other tools write the
suffix into ImageID); where none is stated, the fractions stay in ``attributes``. Groups (IsGroupOf)
are crowds; -1 says that a flag is not known. Classes are machine ids (/m/01g317), which a label map names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import mirror
from detray.files import PICTURE_SUFFIXES
from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.csv import lines
from detray.formats.csv.lines import Lines, RowDefects
from detray.formats.fractions import judge
from detray.formats.listing import files_below
from detray.formats.picture_size import picture_size
from detray.formats.source import Source, locate
from detray.formats.values import Defects

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
        return path.is_file() and set(_REQUIRED) <= set(lines.header(str(path)))

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """As `lines.plan`."""
        for path in source.annotations:
            lines.require(path, _REQUIRED, "Open Images boxes")
        return lines.plan(source)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        (piece,) = pieces.to_pylist()
        path = piece["file"]
        found = lines.read_lines(piece, lines.header(path))
        files = _file_names(found.table, source)
        images = _images(files, source, path)
        return Chunk(
            images=images,
            annotations=_annotations(found, files, images, path, with_pictures=source.images is not None),
            categories=_categories(found.table),
            quarantine=found.quarantine,
        )


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
    return place is not None and mirror.exists(place)


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
    found: Lines, files: Mapping[str, str], images: pa.Table, path: str, *, with_pictures: bool
) -> pa.Table:
    table, defects = found.table, dict(found.defects)
    count = table.num_rows
    images_of, names = (lines.names(table, field, defects) for field in ("ImageID", "LabelName"))
    keys = _looked_up(images_of, files, pa.string())
    place = pc.index_in(keys, value_set=images["key"].combine_chunks(), skip_nulls=True)
    sizes = [images[side].cast(pa.float64()).take(place.combine_chunks()).to_numpy() for side in ("width", "height")]
    fractions = [lines.numbers(table[side], side, defects) for side in _SIDES]
    _judge(fractions, np.isnan(sizes[0]), defects)
    corners = [side * size for side, size in zip(fractions, sizes * 2, strict=True)]
    for index in np.flatnonzero(np.isnan(sizes[0]) & pc.is_valid(keys).to_numpy()).tolist() if with_pictures else ():
        defects.setdefault(index, Defects()).note("missing-field", "picture size", "")
    x, y, right, bottom = corners
    flags = {name: _flags(table[name], name, defects) for name in _FLAGS if name in table.column_names}
    return chunk.table(
        chunk.ANNOTATIONS,
        count,
        annotation_row=pa.array(found.rows, pa.int64()),
        x=pa.array(x, from_pandas=True),
        y=pa.array(y, from_pandas=True),
        width=pa.array(right - x, from_pandas=True),
        height=pa.array(bottom - y, from_pandas=True),
        area=pa.array((right - x) * (bottom - y), from_pandas=True),
        is_crowd=flags.get("IsGroupOf", np.zeros(count, np.bool_)),
        is_difficult=np.zeros(count, np.bool_),
        source_file=path,
        attributes=lines.attributes(
            table, (*_REQUIRED, "IsGroupOf") if with_pictures else ("ImageID", "LabelName", "IsGroupOf")
        ),
        defects=[defects.get(index) for index in range(count)] if defects else None,
        key=keys,
        category_name=names.dictionary_encode(),
    )


def _looked_up(column: pa.ChunkedArray, values: Mapping[str, Any], type: pa.DataType) -> pa.ChunkedArray:
    """What ``values`` has for each text of ``column``; NULL for NULL."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    found = pa.array([values[text] for text in encoded.dictionary.to_pylist()], type)
    return pa.chunked_array([found.take(encoded.indices)])


def _flags(column: pa.ChunkedArray, field: str, defects: RowDefects) -> pa.ChunkedArray:
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


def _judge(corners: list[np.ndarray], unsized: np.ndarray, defects: RowDefects) -> None:
    """Note what is wrong with the fractions of boxes whose picture's size is unknown, ``unsized``."""
    x, y, right, bottom = corners
    doubtful = (x >= right) | (y >= bottom) | (x < 0) | (y < 0) | (right > 1) | (bottom > 1)
    for index in np.flatnonzero(unsized & doubtful).tolist():
        noted = defects.get(index, Defects())
        judge([x[index], y[index], right[index] - x[index], bottom[index] - y[index]], noted)
        if noted:
            defects[index] = noted


def _categories(table: pa.Table) -> pa.Table:
    names = sorted(name for name in pc.unique(table["LabelName"]).to_pylist() if name)
    return pa.Table.from_pylist([{"category_name": name} for name in names], chunk.CATEGORIES)

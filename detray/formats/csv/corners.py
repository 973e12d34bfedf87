"""A table with a row a box, whose corners are pixels: columns of CSV as canonical images and annotations.

x is the first corner's and width the second's minus it, without the plus or minus one of inclusive corners.
A row with nothing but its image says that the image has no boxes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.csv import lines
from detray.formats.csv.lines import Lines, RowDefects
from detray.formats.picture_size import picture_size
from detray.formats.source import Source, locate, picture_name
from detray.formats.values import Defects


@dataclass(frozen=True)
class Columns:
    """Names of columns: the image's file, the class, x, y, x2, y2, and, if stated, the image's width and height."""

    image: str
    label: str
    corners: tuple[str, str, str, str]
    size: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (self.image, self.label, *self.corners, *self.size)


def read_corners(
    found: Lines, columns: Columns, source: Source, path: str, listed: Mapping[str, int] | None = None
) -> Chunk:
    """The images and boxes of some lines of ``path``. ``listed``: ids of classes that a list beside it numbers."""
    ids = listed or {}
    table = pa.table([pc.utf8_trim_whitespace(column) for column in found.table.columns], found.table.column_names)
    defects = dict(found.defects)
    stated = lines.names(table, columns.image, defects).combine_chunks().dictionary_encode()
    names = pa.array([picture_name(name, source) for name in stated.dictionary.to_pylist()], pa.string())
    images = _images(table, columns, stated, names.to_pylist(), source, path)
    _note_other_sizes(table, columns, stated, defects)
    filled = [pc.not_equal(table[name], "").to_numpy() for name in (columns.label, *columns.corners)]
    boxes = np.flatnonzero(np.logical_or.reduce(filled) | stated.is_null().to_numpy(zero_copy_only=False))
    defects = {place: defects[row] for place, row in enumerate(boxes.tolist()) if row in defects}
    table = table.take(boxes)
    keys = names.take(stated.indices).take(pa.array(boxes))
    annotations = _annotations(table, columns, keys, found.rows[boxes], path, ids, defects)
    named = sorted(set(annotations["category_name"].cast(pa.string()).drop_null().to_pylist()) - ids.keys())
    categories = pa.Table.from_pylist([{"category_name": name} for name in named], chunk.CATEGORIES)
    return Chunk(images, annotations, categories, found.quarantine)


def _first_rows(stated: pa.DictionaryArray) -> np.ndarray:
    """The first row that states each image of the dictionary."""
    codes = stated.indices.to_numpy(zero_copy_only=False)
    known = np.flatnonzero(~np.isnan(codes))
    return known[np.unique(codes[known], return_index=True)[1]]


def _images(
    table: pa.Table, columns: Columns, stated: pa.DictionaryArray, names: list[str], source: Source, path: str
) -> pa.Table:
    """A row for each image that the lines name, with the size that its first line states, else of its picture."""
    defects = [Defects() for _ in names]
    sizes: list[tuple[int | None, ...]] = []
    if columns.size:
        texts = [table[side].take(pa.array(_first_rows(stated))).to_pylist() for side in columns.size]
        for noted, *written in zip(defects, *texts, strict=True):
            sizes.append(tuple(_side(text, side, noted) for text, side in zip(written, columns.size, strict=True)))
    else:
        for noted, name in zip(defects, names, strict=True):
            folder, allowed = source.images, source.folders
            size = picture_size(locate(folder, name, allowed)) if folder is not None else None
            if size is None and folder is not None:
                noted.note("missing-field", "picture size", "no readable picture")
            sizes.append(size or (None, None))
    return chunk.table(
        chunk.IMAGES,
        len(names),
        file_name=names,
        width=[size[0] for size in sizes],
        height=[size[1] for size in sizes],
        source_file=path,
        defects=[noted.or_none() for noted in defects],
        key=names,
    )


def _side(text: str, field: str, defects: Defects) -> int | None:
    return values.side(values.written_integer(text, field, defects), field, defects)


def _note_other_sizes(table: pa.Table, columns: Columns, stated: pa.DictionaryArray, defects: RowDefects) -> None:
    """Note the rows that state another size of their image than its first row does."""
    first = pa.array(_first_rows(stated)).take(stated.indices)
    for side in columns.size:
        expected = table[side].combine_chunks().take(first)
        for row in np.flatnonzero(pc.fill_null(pc.not_equal(table[side], expected), False).to_numpy()).tolist():
            observed = f"{table[side][row].as_py()}, and {expected[row].as_py()} in the first row of this image"
            defects.setdefault(row, Defects()).note("wrong-type", side, observed)


def _annotations(
    table: pa.Table,
    columns: Columns,
    keys: pa.Array,
    rows: np.ndarray,
    path: str,
    ids: Mapping[str, int],
    defects: RowDefects,
) -> pa.Table:
    count = table.num_rows
    labels = lines.names(table, columns.label, defects)
    x, y, right, bottom = (lines.numbers(table[side], side, defects) for side in columns.corners)
    with np.errstate(over="ignore", invalid="ignore"):
        width, height = right - x, bottom - y
        numbers = {"x": x, "y": y, "width": width, "height": height, "area": width * height}
    place = pc.index_in(labels, value_set=pa.array(list(ids), pa.string()), skip_nulls=True).combine_chunks()
    return chunk.table(
        chunk.ANNOTATIONS,
        count,
        annotation_row=pa.array(rows, pa.int64()),
        category_id=pa.array(list(ids.values()), pa.int64()).take(place),
        **{name: pa.array(column, mask=~np.isfinite(column)) for name, column in numbers.items()},
        is_crowd=np.zeros(count, np.bool_),
        is_difficult=np.zeros(count, np.bool_),
        source_file=path,
        attributes=lines.attributes(table, columns.all),
        defects=[defects.get(index) for index in range(count)] if defects else None,
        key=keys,
        category_name=labels.dictionary_encode(),
    )

"""What the reader of a format hands over: some rows of one split, in Arrow tables.

Formats with numeric ids fill image_id and category_id. Formats that know only names fill ``key``
(of the image: unique, and it sorts as the file names do) and category_name, and ingest numbers them.
``path`` is filled where the annotation file holds the picture itself; of others ingest knows the folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from detray import schema

_NAMES = pa.dictionary(pa.int32(), pa.string())
KEY = pa.field("key", pa.string())
CATEGORY_NAME = pa.field("category_name", _NAMES)


def _columns(table: str, without: Sequence[str]) -> list[pa.Field]:
    fields = [item.remove_metadata() for item in schema.schema(table) if item.name not in without]
    return [item.with_type(_NAMES) if item.name in ("source_file", "annotator") else item for item in fields]


IMAGES = pa.schema([*_columns("images", ("run", "split")), KEY])
_NAMED_LATER = ("file_name", "category_name")
ANNOTATIONS = pa.schema([*_columns("annotations", ("run", "split", *_NAMED_LATER)), KEY, CATEGORY_NAME])
CATEGORIES = pa.schema(
    [
        pa.field("category_id", pa.int64()),
        pa.field("category_name", pa.string()),
        pa.field("boxes", pa.int64()),  # how many say so, where the boxes themselves name their class
        pa.field("source_file", pa.string()),  # where it lists its classes
        pa.field("attributes", pa.string()),
        schema.DEFECTS.field().remove_metadata(),
    ]
)
_MARKS = ("run", "stage", "split", "image_id")
QUARANTINE = pa.schema([item.remove_metadata() for item in schema.schema("quarantine") if item.name not in _MARKS])


@dataclass(frozen=True)
class Chunk:
    """Rows that one task has read.

    ``image_rows_of`` and ``annotation_rows_of`` name the file whose list this chunk continues:
    ``image_row`` or ``annotation_row`` then starts from 0 here, and ingest adds the rows of the chunks
    before. None where it already is the position in its source file. ``further`` counts what the file
    states beside rows, by its name there.
    """

    images: pa.Table = field(default_factory=IMAGES.empty_table)
    annotations: pa.Table = field(default_factory=ANNOTATIONS.empty_table)
    categories: pa.Table = field(default_factory=CATEGORIES.empty_table)
    quarantine: pa.Table = field(default_factory=QUARANTINE.empty_table)
    image_rows_of: str | None = None
    annotation_rows_of: str | None = None
    further: Mapping[str, int] = field(default_factory=dict)


def table(target: pa.Schema, rows: int, **columns: object) -> pa.Table:
    """A table of ``target`` with ``rows`` rows from some columns (arrays, lists, or one value for all rows)."""
    arrays = []
    for item in target:
        value = columns.pop(item.name, None)
        if value is None:
            arrays.append(pa.nulls(rows, item.type))
        elif isinstance(value, str) and item.type == _NAMES:
            arrays.append(pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([value])))
        elif isinstance(value, pa.Array | pa.ChunkedArray):
            arrays.append(value)
        else:
            arrays.append(pa.array(value, item.type))
    if columns:
        raise KeyError(f"no such columns: {', '.join(columns)}")
    return pa.Table.from_arrays(arrays, schema=target)

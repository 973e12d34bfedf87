"""Parquet parts: how rows are laid out in a file, and what the manifest says of it."""

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detray.store.integrity import Count, Stored

MAX_PART_ROWS = 4_000_000
"""Rows a part holds at most: annotations take about 28 bytes each, so some 110 MiB."""
ROW_GROUP_ROWS = 256 * 1024


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a table.

    ``file`` is its name, below the root once the stage is complete; ``digest`` as in `Stored`; ``split``,
    ``low`` and ``high`` (of image_id) stand where all rows are of one split and have an image; ``number``
    where the part is to have that number.
    """

    file: str
    rows: Count
    bytes: Count
    digest: str
    split: str | None = None
    low: int | None = None
    high: int | None = None
    number: int | None = None

    @property
    def stored(self) -> Stored:
        return Stored(self.bytes, self.digest)


def encode(rows: pa.Table) -> pa.Buffer:
    """``rows`` as a Parquet file."""
    sink = pa.BufferOutputStream()
    # numbers hardly repeat: a dictionary of them costs time and space before it is given up; ids mostly rise
    words = [field.name for field in rows.schema if pa.types.is_string(field.type)]
    ids = {field.name: "DELTA_BINARY_PACKED" for field in rows.schema if pa.types.is_int64(field.type)}
    pq.write_table(
        rows,
        sink,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=words,
        column_encoding=ids,
        write_page_checksum=True,
    )
    return sink.getvalue()


def part_of(file: str, rows: pa.Table, whole: Stored, number: int | None = None) -> Part:
    """What there is to say of ``rows``, written to ``file``."""
    split, low, high = image_range(rows)
    return Part(file, rows.num_rows, whole.bytes, whole.digest, split, low, high, number)


def image_range(rows: pa.Table) -> tuple[str | None, int | None, int | None]:
    """Split, lowest and highest image_id of rows that are all of one split and have an image; else None."""
    nothing = (None, None, None)
    if "split" not in rows.column_names or "image_id" not in rows.column_names:
        return nothing
    splits = pc.unique(rows["split"])
    if len(splits) != 1 or not splits[0].is_valid or rows["image_id"].null_count:
        return nothing
    ends = pc.min_max(rows["image_id"])
    return splits[0].as_py(), ends["min"].as_py(), ends["max"].as_py()

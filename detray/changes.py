"""Changes to the rows of source files, as the tables that carry them from where they are planned to where they are
written."""

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc

CHANGES = pa.schema(
    [
        ("file_key", pa.int64()),
        ("source_file", pa.string()),
        ("row", pa.int64()),
        ("is_drop", pa.bool_()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("width", pa.float64()),
        ("height", pa.float64()),
        ("area", pa.float64()),
        ("loses_mask", pa.bool_()),
        ("annotation_id", pa.int64()),
        ("category_id", pa.int64()),
        ("category_name", pa.string()),
        ("image_id", pa.int64()),
        ("image_row", pa.int64()),
        ("file_name", pa.string()),
        ("image_width", pa.int64()),
        ("image_height", pa.int64()),
    ]
)
"""One row a change: NULL in ``row`` is a new box, NULL in ``x`` to ``category_name`` what stays as it is.

``file_key`` is equal for changes of one file. The last columns tell of the image.
"""

FILES = pa.schema(
    [
        ("file_key", pa.int64()),
        ("path", pa.string()),
        ("to", pa.string()),
        ("format", pa.string()),
        ("is_there", pa.bool_()),
    ]
)
"""Files of a data set and where they are written to, below a folder; one that is not there only if it gets boxes.

``format``: of annotation files, which changes are made in; NULL of others, which are copied.
"""


def file_key(path: str) -> int:
    """A number that is equal for one file."""
    return crc32(path.encode("utf-8", "replace"))


@dataclass(frozen=True)
class Change:
    """A row of `CHANGES`; ``box``: x, y, width, height in px."""

    row: int | None
    is_drop: bool
    box: tuple[float, float, float, float] | None
    area: float | None
    loses_mask: bool
    annotation_id: int | None
    category_id: int | None
    category_name: str | None
    image_id: int | None
    image_row: int | None
    file_name: str | None
    size: tuple[int, int] | None


class Changes:
    """Changes of one file, from `CHANGES`: of rows in their order, and new boxes. Few are held as values at once."""

    def __init__(self, table: pa.Table) -> None:
        is_new = pc.is_null(table["row"])
        self._dropped = table.filter(table["is_drop"])["row"]
        self._rows = _each(table.filter(pc.invert(is_new)).sort_by("row"))
        self._next = next(self._rows, None)
        self.added = list(_each(table.filter(is_new)))

    def __bool__(self) -> bool:
        """Whether any is left."""
        return self._next is not None or bool(self.added)

    @property
    def dropped(self) -> set[int]:
        """The rows that are dropped."""
        return set(self._dropped.to_pylist())

    def take(self, row: int) -> Change | None:
        """What is to become of a row; rows are asked for in their order."""
        found = None
        while self._next is not None and (self._next.row or 0) <= row:
            found = self._next if self._next.row == row else found
            self._next = next(self._rows, None)
        return found


_AT_ONCE = 10_000


def _each(table: pa.Table) -> Iterator[Change]:
    for start in range(0, table.num_rows, _AT_ONCE):
        for row in table.slice(start, _AT_ONCE).to_pylist():
            box = None if row["x"] is None else (row["x"], row["y"], row["width"], row["height"])
            sides = row["image_width"], row["image_height"]
            yield Change(
                box=box,
                size=None if None in sides else sides,
                **{name: row[name] for name in Change.__dataclass_fields__ if name not in ("box", "size")},
            )

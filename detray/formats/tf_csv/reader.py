"""The CSV of the TensorFlow tutorials (xml_to_csv.py of datitran/raccoon_dataset): a row a box, corners in pixels.

The columns stand in any order, and further ones are kept in ``attributes``.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from detray.formats.chunk import Chunk
from detray.formats.csv import lines
from detray.formats.csv.corners import Columns, read_corners
from detray.formats.source import Source

_SIZE = ("width", "height")
_COLUMNS = Columns("filename", "class", ("xmin", "ymin", "xmax", "ymax"))
_SIZED = Columns(_COLUMNS.image, _COLUMNS.label, _COLUMNS.corners, _SIZE)


@dataclass(frozen=True)
class TensorFlowCsv:
    """The format ``tf_csv``."""

    name = "tf_csv"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        return path.is_file() and set(_COLUMNS.all) <= set(lines.header(str(path)))

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """As `lines.plan`."""
        for path in source.annotations:
            lines.require(path, _COLUMNS.all, "the boxes of this CSV")
        return lines.plan(source)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        (piece,) = pieces.to_pylist()
        names = lines.header(piece["file"])
        columns = _SIZED if set(_SIZE) <= set(names) else _COLUMNS
        return read_corners(lines.read_lines(piece, names), columns, source, piece["file"])

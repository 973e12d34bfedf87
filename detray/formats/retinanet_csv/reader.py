"""keras-retinanet's CSV (fizyr/keras-retinanet, README, "CSV datasets"): ``path,x1,y1,x2,y2,class``, no header.

``path,,,,,`` is an image without boxes. The list of classes beside it (``class,number``, from 0, a file whose
name holds ``class``) gives ids: the class of number k has the id k + 1. Sizes are the pictures' own.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from detray.errors import DetrayError
from detray.files import PICTURE_SUFFIXES, open_file
from detray.formats import chunk
from detray.formats.chunk import Chunk
from detray.formats.csv import lines
from detray.formats.csv.corners import Columns, read_corners
from detray.formats.listing import files_below, read_bounded
from detray.formats.source import Source
from detray.formats.values import parse_number

CORNERS = ("x1", "y1", "x2", "y2")
NAMES = ["path", *CORNERS, "class"]
"""Of the columns, in order."""
_COLUMNS = Columns("path", "class", CORNERS)
_HEAD_BYTES = 1 << 16
_LINES = 20


@dataclass(frozen=True)
class RetinaNetCsv:
    """The format ``retinanet_csv``."""

    name = "retinanet_csv"
    has_ids = False
    applies_list = False

    def recognises(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with open_file(path) as file:
            head = file.read(_HEAD_BYTES).decode("utf-8-sig", "replace")
        rows = [line for line in head.splitlines() if line.strip()][:_LINES]
        if not rows or {"xmin", "ymin", "xmax", "ymax"} <= {name.strip(' "') for name in rows[0].split(",")}:
            return False
        return sum(map(_is_row, rows)) * 2 > len(rows)

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """As `lines.plan`."""
        return lines.plan(source, with_header=False)

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        (piece,) = pieces.to_pylist()
        path = piece["file"]
        listing, ids = classes_beside(path)
        found = read_corners(lines.read_lines(piece, NAMES), _COLUMNS, source, path, ids)
        listed = chunk.table(
            chunk.CATEGORIES,
            len(ids),
            category_id=list(ids.values()),
            category_name=list(ids),
            source_file=[listing] * len(ids),
        )
        return replace(found, categories=pa.concat_tables([listed, found.categories]))


def _is_row(line: str) -> bool:
    path, *rest = (field.strip(' "') for field in line.split(","))
    if len(rest) != len(NAMES) - 1 or not path.lower().endswith(PICTURE_SUFFIXES):
        return False
    return not any(rest) or all(parse_number(text) is not None for text in rest[:4])


def classes_beside(path: str) -> tuple[str | None, dict[str, int]]:
    """The list of classes in the folder of ``path``, and their ids; none where no or several files may be it."""
    folder = Path(path).parent
    lists = {
        file: ids
        for file in files_below(str(folder), ".csv")
        if "class" in Path(file).name.lower() and file != path and (ids := _class_ids(file))
    }
    return next(iter(lists.items())) if len(lists) == 1 else (None, {})


def _class_ids(path: str) -> dict[str, int]:
    """The ids of a list of classes; none where a line is no name and number."""
    try:
        rows = read_bounded(path).decode("utf-8-sig").splitlines()
    except (DetrayError, UnicodeDecodeError):
        return {}
    ids: dict[str, int] = {}
    for line in rows:
        name, _, number = line.rpartition(",")
        if not line.strip():
            continue
        number = number.strip()
        if not (name.strip() and number.isascii() and number.isdigit() and len(number) < 10):
            return {}
        ids[name.strip(' "')] = int(number) + 1
    return ids

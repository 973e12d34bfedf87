"""Thumbnails of what is reviewed, many in one JPEG, so that a browser loads those that are seen with few files.

Beside them stand pictures that a browser cannot open from where they lie, as large as a screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from detray.arrays import Pixels
from detray.report import pictures
from detray.report.sections.common import Box

FOLDER = "review"
"""Below the stage's folder."""
COLUMNS, ROWS, SIDE = 6, 4, 192
"""Thumbnails across and down a pack, and the pixels of each one's square."""
CELLS = COLUMNS * ROWS
LARGE = 1600
"""Pixels of the longer side of a picture beside the page."""

_SHOWN = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp")
"""What browsers open, by the ending of its name."""

PLACES = pa.schema(
    [
        ("number", pa.int64()),
        ("problem", pa.string()),
        *((name, pa.float64()) for name in ("x", "y", "width", "height", "full_width", "full_height")),
    ]
)
"""What each thumbnail shows: x, y, width, height of its picture, px, and the size of that; or why there is none."""


@dataclass(frozen=True)
class Thumbnail:
    """A thumbnail that the page wants, by its number: its surroundings of ``focus``, or all of the picture.

    ``copy``: the name of the file that the whole picture is to be written to, below the stage's folder.
    """

    number: int
    path: str | None
    focus: Box | None
    copy: str | None = None


def is_shown(path: str | None) -> bool:
    """Whether a browser on the machine of the data opens a picture from where it lies."""
    return path is not None and "://" not in path and path.lower().endswith(_SHOWN)


def address(path: str) -> str:
    """The address of a picture on this machine."""
    return Path(path).as_uri()


def pack_name(number: int) -> str:
    """The file that holds a thumbnail."""
    return f"{FOLDER}/pack-{number // CELLS:05d}.jpg"


def draw(wanted: Sequence[Thumbnail]) -> tuple[pa.Table, dict[str, bytes]]:
    """The thumbnails of one pack: where each is cut from, `PLACES`, and the files."""
    sheet = np.full((ROWS * SIDE, COLUMNS * SIDE, 3), 128, np.uint8)
    files: dict[str, bytes] = {}
    rows: list[dict[str, object]] = []
    read = lru_cache(maxsize=4)(pictures.read)
    for thumbnail in wanted:
        picture, problem = read(thumbnail.path)
        if picture is None:
            rows.append({"number": thumbnail.number, "problem": problem})
            continue
        rows.append({"number": thumbnail.number, **_paste(sheet, picture, thumbnail)})
        if thumbnail.copy:
            files[thumbnail.copy] = pictures.encode(pictures.shrink(picture, LARGE))
    if any("x" in row for row in rows):
        files[pack_name(wanted[0].number)] = pictures.encode(sheet)
    return pa.Table.from_pylist(rows, PLACES), files


def _paste(sheet: Pixels, picture: Pixels, thumbnail: Thumbnail) -> dict[str, float]:
    """Put a thumbnail into its square of the sheet, in its upper left corner; what of the picture it shows."""
    high, wide = picture.shape[:2]
    x, y, width, height = pictures.region(thumbnail.focus, wide, high)
    left, top = min(max(int(x), 0), wide - 1), min(max(int(y), 0), high - 1)
    right = max(min(int(np.ceil(x + width)), wide), left + 1)
    bottom = max(min(int(np.ceil(y + height)), high), top + 1)
    part = pictures.shrink(picture[top:bottom, left:right], SIDE)
    row, column = divmod(thumbnail.number % CELLS, COLUMNS)
    sheet[row * SIDE : row * SIDE + part.shape[0], column * SIDE : column * SIDE + part.shape[1]] = part
    place = {
        "x": left,
        "y": top,
        "width": right - left,
        "height": bottom - top,
        "full_width": wide,
        "full_height": high,
    }
    return {name: float(value) for name, value in place.items()}

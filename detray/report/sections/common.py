"""What several sections share."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detray.report.pictures import Album
from detray.report.reader import Reader

Content = dict[str, Any]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sources:
    """Where a section takes its rows from, and the album that it puts its pictures into."""

    reader: Reader
    album: Album


@dataclass(frozen=True)
class Evaluation:
    """One evaluated model on one split."""

    split: str
    model: str

    @property
    def filter(self) -> pc.Expression:
        return (pc.field("split") == self.split) & (pc.field("model") == self.model)


def words(code: str) -> str:
    """A code such as ``class_imbalance`` as words."""
    return code.replace("_", " ")


def box_of(row: dict[str, Any], prefix: str = "") -> Box | None:
    """x, y, width, height of a row in pixels; None where one of them is not finite."""
    sides = tuple(row[f"{prefix}{side}"] for side in ("x", "y", "width", "height"))
    return None if None in sides else sides


def paths(images: pa.Table) -> dict[int, tuple[str | None, str | None]]:
    """path and file_name of each image_id of rows of the table images; the first row of an id counts."""
    found: dict[int, tuple[str | None, str | None]] = {}
    for row in images.select(["image_id", "path", "file_name"]).to_pylist():
        found.setdefault(row["image_id"], (row["path"], row["file_name"]))
    return found


def label(name: str | None, score: float | None = None) -> str:
    """What stands on a box: the class and, of a detection, its score."""
    return " ".join([*([name] if name else []), *([f"{score:.2f}"] if score is not None else [])])

"""The key of an export: what was drawn where, kept in the output folder, so that what comes back can be compared.

Tools keep little of what they are given. Each box and picture therefore carries a mark alone, the export and a number
(``1f0c9a7e-12``), and what that stood for is looked up here.
"""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from shutil import copyfileobj
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detray.clean.decisions import About
from detray.report.sections.common import Box, box_of
from detray.review.canvas import Canvas, Shape
from detray.store import Store

FOLDER = "review"
"""Below the output folder."""
_MARK = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")
_ROWS_AT_ONCE = 1 << 14

SCHEMA = pa.schema(
    [
        ("picture", pa.int64()),
        ("number", pa.int64()),  # the picture's own where the row is about the picture
        ("split", pa.string()),
        ("image_id", pa.int64()),
        ("name", pa.string()),  # as it stands in the tool
        ("file_name", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("source_file", pa.string()),
        ("annotation_row", pa.int64()),
        ("category_id", pa.int64()),
        ("label", pa.string()),
        *((side, pa.float64()) for side in ("x", "y", "width_of_box", "height_of_box")),
        ("of", pa.int64()),
        ("asked", pa.list_(pa.string())),  # About as JSON
    ]
)


class Mark(NamedTuple):
    """The export that something is of, and its number there."""

    export: str
    number: int

    def __str__(self) -> str:
        return f"{self.export}-{self.number}"


def read_mark(text: object) -> Mark | None:
    """The mark that a text is; None where it is none."""
    found = _MARK.fullmatch(text.strip()) if isinstance(text, str) else None
    return Mark(found[1], int(found[2])) if found else None


@dataclass(frozen=True)
class Drawn:
    """A box as it was drawn; ``asked`` what was asked about it, the most suspicious first."""

    number: int
    category_id: int
    label: str
    box: Box
    source_file: str | None
    annotation_row: int | None
    of: int | None
    asked: tuple[About, ...]


@dataclass
class Picture:
    """A picture as it was drawn."""

    number: int
    split: str
    image_id: int
    name: str
    file_name: str
    width: int | None
    height: int | None
    shapes: list[Drawn] = field(default_factory=list)


class KeyWriter:
    """Writes the key while canvases pass."""

    def __init__(self, store: Store, export: str, named: Callable[[Canvas], str]) -> None:
        self._store, self._export, self._named = store, export, named

    def over(self, canvases: Iterable[Canvas]) -> Iterator[Canvas]:
        """The canvases as they are; once they are through, the key stands in the output folder."""
        with tempfile.TemporaryFile() as file:
            with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
                rows: list[dict[str, Any]] = []
                for canvas in canvases:
                    rows += _rows(canvas, self._named(canvas))
                    if len(rows) >= _ROWS_AT_ONCE:
                        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
                        rows = []
                    yield canvas
                writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            file.seek(0)
            self._store.write(lambda stream: copyfileobj(file, stream), *_place(self._export))


def _rows(canvas: Canvas, name: str) -> Iterator[dict[str, Any]]:
    of_picture = {
        "picture": canvas.number,
        "number": canvas.number,
        "split": canvas.split,
        "image_id": canvas.image_id,
        "name": name,
        "file_name": canvas.name,
        "width": canvas.width,
        "height": canvas.height,
    }
    yield of_picture
    for shape in canvas.shapes:
        yield {"picture": canvas.number, "number": shape.number} | _of_shape(shape)


def _of_shape(shape: Shape) -> dict[str, Any]:
    return {
        "source_file": shape.source_file,
        "annotation_row": shape.annotation_row,
        "category_id": shape.category_id,
        "label": shape.label,
        **dict(zip(("x", "y", "width_of_box", "height_of_box"), shape.box, strict=True)),
        "of": shape.of,
        "asked": [item.text for item in shape.asked],
    }


def _place(export: str) -> tuple[str, str]:
    return FOLDER, f"key-{export}.parquet"


class Key:
    """The key of one export, of which only what is asked for is held."""

    def __init__(self, store: Store, export: str) -> None:
        data = store.read_bytes(*_place(export))
        self.is_there = data is not None
        self._file = pq.ParquetFile(pa.BufferReader(data)) if data is not None else None

    def numbers(self) -> pa.Table:
        """picture, number, split and name of all."""
        return self._read(["picture", "number", "split", "name"], None)

    def pictures(self, numbers: Sequence[int]) -> dict[int, Picture]:
        """Some pictures, by number."""
        found: dict[int, Picture] = {}
        for row in self._read(SCHEMA.names, numbers).to_pylist():
            if row["number"] == row["picture"]:
                found[row["picture"]] = Picture(
                    *(row[name] for name in ("picture", "split", "image_id", "name", "file_name", "width", "height"))
                )
            elif (box := box_of({**row, "width": row["width_of_box"], "height": row["height_of_box"]})) is not None:
                asked = tuple(msgspec.json.decode(text, type=About) for text in row["asked"] or ())
                found[row["picture"]].shapes.append(
                    Drawn(
                        row["number"], row["category_id"], row["label"], box, row["source_file"],
                        row["annotation_row"], row["of"], asked,
                    )
                )  # fmt: skip
        return found

    def _read(self, columns: Sequence[str], pictures: Sequence[int] | None) -> pa.Table:
        if self._file is None:
            return SCHEMA.empty_table().select(columns)
        wanted = None if pictures is None else pa.array(pictures, pa.int64())
        batches = [SCHEMA.empty_table().select(columns)]
        for batch in self._file.iter_batches(columns=list(columns)):
            rows = pa.Table.from_batches([batch])
            batches.append(rows if wanted is None else rows.filter(pc.is_in(rows["picture"], value_set=wanted)))
        return pa.concat_tables(batches)

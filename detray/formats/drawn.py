"""What drawing tools write, an image with its boxes at a time, gathered as rows of canonical tables."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from detray.errors import DetrayError
from detray.formats import chunk, values
from detray.formats.chunk import Chunk
from detray.formats.json import whole
from detray.formats.json.whole import Cut
from detray.formats.picture_size import picture_size
from detray.formats.source import Source, locate, picture_name
from detray.formats.values import Defects

Row = dict[str, Any]
_MAX_KINDS = 20
_MAX_KIND = 40


@dataclass
class Drawn:
    """Rows of one chunk of ``source``; the images and boxes of a file are added in its order."""

    source: Source
    images: list[Row] = field(default_factory=list)
    boxes: list[Row] = field(default_factory=list)
    lost: list[Row] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)

    def lose(self, file: str, detail: str, row: int | None = None) -> None:
        """Something that cannot be read: the file, or what stands at a row of it."""
        reason = "unreadable-annotation-file" if row is None else "unreadable-row"
        self.lost.append({"source_file": file, "row": row, "reason": reason, "detail": detail[:200]})

    def skip(self, kind: object) -> None:
        """Something that is no box: it is counted."""
        name = f"shapes of type {values.describe(kind)[:_MAX_KIND]}"
        self.skipped[name if name in self.skipped or len(self.skipped) < _MAX_KINDS else "shapes of other types"] += 1

    def image(
        self,
        file: str,
        row: int,
        name: str | None,
        size: Sequence[int | None],
        defects: Defects,
        attributes: Mapping[str, Any] | None = None,
    ) -> Row:
        """Add an image; one whose width or height is not stated has that of its picture, if that is there."""
        name = None if name is None else picture_name(name, self.source)
        width, height = size
        if (width is None or height is None) and self.source.images is not None and name is not None:
            found = picture_size(locate(self.source.images, name, self.source.folders))
            if found is None:
                defects.note("missing-field", "picture size", "no readable picture")
            width, height = found or size
        image = {
            "file_name": name,
            "width": width,
            "height": height,
            "image_row": row,
            "source_file": file,
            "attributes": _kept(attributes, defects),
            "defects": defects.or_none(),
            "key": f"{name or ''}\0{file}\0{row:012d}",
        }
        self.images.append(image)
        return image

    def box(
        self,
        image: Row,
        name: str | None,
        box: Sequence[float | None],
        defects: Defects,
        *,
        polygon: Sequence[float | None] = (),
        attributes: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Add a box (x, y, width, height, px) of an image, or the ``polygon`` that it bounds; ``more``: columns."""
        box = [None if side is None or not math.isfinite(side) else side for side in box]
        width, height = box[2:]
        area = None if width is None or height is None else width * height
        self.boxes.append(
            {
                "annotation_row": len(self.boxes),
                "category_name": name,
                **dict(zip(("x", "y", "width", "height"), box, strict=True)),
                "area": area if area is not None and math.isfinite(area) else None,
                "is_crowd": False,
                "is_difficult": False,
                "segmentation": json.dumps([polygon]) if polygon and None not in box else None,
                "source_file": image["source_file"],
                "attributes": _kept(attributes, defects),
                "defects": defects.or_none(),
                "key": image["key"],
            }
            | more
        )

    def chunk(self, rows_of: str | None = None) -> Chunk:
        """All that was added. ``rows_of``: the file whose boxes go on from those of the chunk before."""
        names = sorted(self.listed | {box["category_name"] for box in self.boxes if box["category_name"]})
        return Chunk(
            images=pa.Table.from_pylist(self.images, chunk.IMAGES),
            annotations=pa.Table.from_pylist(self.boxes, chunk.ANNOTATIONS),
            categories=pa.Table.from_pylist([{"category_name": name} for name in names], chunk.CATEGORIES),
            quarantine=pa.Table.from_pylist(self.lost, chunk.QUARANTINE),
            annotation_rows_of=rows_of,
            further=self.skipped,
        )


def read_records(source: Source, pieces: pa.Table, cut: Cut, add: Callable[[Any, str, int, Drawn], None]) -> Chunk:
    """A chunk of `whole.plan`. ``add`` takes a record, its file, its number, and where its image and boxes go."""
    (piece,) = pieces.to_pylist()
    found, path = Drawn(source), piece["file"]
    if piece["start"] is None:
        found.lose(path, piece["part"])
        return found.chunk()
    for row, record in whole.records(piece, cut):
        try:
            add(whole.value_of(record), path, row, found)
        except DetrayError as error:
            found.lose(path, str(error), row)
    return found.chunk(path)


def _kept(fields: Mapping[str, Any] | None, defects: Defects) -> str | None:
    """The fields that hold something as a JSON object; None if none does."""
    found = {name: value for name, value in (fields or {}).items() if value not in (None, "", [], {})}
    return values.as_json(found, "attributes", defects) if found else None

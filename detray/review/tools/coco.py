"""COCO JSON (cocodataset.org/#format-data) with suggestions, for whatever reads COCO: a file a split.

What is asked about a box stands in its ``attributes``, where CVAT, Datumaro and FiftyOne look for what COCO has no
field for: ``suspect`` in words, ``decision`` for the person's ``accept`` or ``reject``, ``suggestion`` on a box that is
suggested, ``detray`` for the mark. A suggested box has a ``score``, as detections have.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import msgspec

from detray.errors import DetrayError
from detray.formats.json import whole
from detray.review.answer import Answer, Found, word
from detray.review.canvas import Canvas, Shape, words
from detray.review.key import read_mark
from detray.review.tool import Export, Put
from detray.review.values import name_of, numbers, row_of, rows_of, text

_COPY_BYTES = 1 << 20


class Coco:
    """The tool ``coco``."""

    name = "coco"
    opening = (
        "SPLIT.json holds boxes and suggestions: set attributes.decision to accept or reject, or change boxes; keep"
        " the attributes"
    )
    by_share = False
    with_detections = False

    def picture(self, export: Export, canvas: Canvas) -> str:
        return export.named(canvas)

    def write(self, export: Export, canvases: Iterable[Canvas], put: Put) -> None:
        for split, own in groupby(canvases, lambda canvas: canvas.split):
            put(f"{split}.json", self._file(export, split, own))

    def _file(self, export: Export, split: str, canvases: Iterable[Canvas]) -> Iterator[bytes]:
        info = {"description": f"{export.run}, split {split}, for review", "detray": export.name}
        yield b'{"info":' + msgspec.json.encode(info)
        known = [{"id": number, "name": name} for number, name in export.classes[split].items()]
        with tempfile.TemporaryFile() as boxes:
            yield b',\n"images":['
            before, first = b"\n", True
            for canvas in canvases:
                yield before + msgspec.json.encode(_image(export, canvas, self.picture(export, canvas)))
                before = b",\n"
                for shape in canvas.shapes:
                    boxes.write(b"\n" if first else b",\n")
                    boxes.write(msgspec.json.encode(_annotation(export, canvas, shape)))
                    first = False
                    if shape.category_id not in export.classes[split]:  # of a class that no list has
                        known.append({"id": shape.category_id, "name": shape.label})
            yield b'],\n"annotations":['
            boxes.seek(0)
            while piece := boxes.read(_COPY_BYTES):
                yield piece
        unique = {row["id"]: row for row in known}
        yield b'],\n"categories":' + msgspec.json.encode([*unique.values()]) + b"}\n"

    def recognises(self, path: str) -> bool:
        found = whole.keys(path)
        return not found.isdisjoint(("images", "annotations")) and found.isdisjoint(("samples", "decisions"))

    def read(self, path: str) -> Iterator[Answer]:
        content = whole.fields(whole.read_text(path))
        for name in ("images", "annotations", "categories"):
            if name not in content:
                raise DetrayError(f"is no COCO file: it has no {name}")
        names = {
            name_of(row.get("id")): text(row.get("name")) for row in rows_of(whole.value_of(content["categories"]))
        }
        boxes: dict[Any, list[Found]] = {}
        for record in whole.elements(_bytes(content["annotations"])):
            row = row_of(whole.value_of(record))
            boxes.setdefault(name_of(row.get("image_id")), []).append(_found(row, names))
        for row in rows_of(whole.value_of(content["images"])):
            attributes = row_of(row.get("attributes"))
            mark = read_mark(row.get("detray") or attributes.get("detray"))
            yield Answer(mark, text(row.get("file_name")), boxes.get(name_of(row.get("id")), []))


def _image(export: Export, canvas: Canvas, name: str) -> dict[str, Any]:
    size = {"width": canvas.width, "height": canvas.height}
    said = {"findings": [words(item) for item in canvas.asked]} if canvas.asked else {}
    stated = {side: value for side, value in size.items() if value is not None}
    return {"id": canvas.image_id, "file_name": name} | stated | {"detray": export.mark(canvas.number)} | said


def _annotation(export: Export, canvas: Canvas, shape: Shape) -> dict[str, Any]:
    attributes: dict[str, Any] = {"detray": export.mark(shape.number)}
    if shape.asked:
        attributes |= {"suspect": shape.suspicion, "decision": ""}
    if shape.is_suggested:
        attributes["suggestion"] = True
    score = {} if not shape.is_suggested or shape.score is None else {"score": shape.score}
    return {
        "id": shape.number,
        "image_id": canvas.image_id,
        "category_id": shape.category_id,
        "bbox": shape.box,
        "area": shape.box[2] * shape.box[3],
        "iscrowd": int(shape.is_crowd),
        "attributes": attributes,
    } | score


def _found(row: Mapping[str, Any], names: Mapping[Any, str | None]) -> Found:
    attributes = {**row, **row_of(row.get("attributes"))}  # FiftyOne writes attributes as fields
    box = numbers(row.get("bbox"))
    label = names.get(name_of(row.get("category_id")))
    tags = attributes.get("tags")
    said = next((found for tag in tags if (found := word(tag))), None) if isinstance(tags, list) else None
    return Found(read_mark(attributes.get("detray")), label, box, word(attributes.get("decision")) or said)


def _bytes(record: whole.Record) -> bytes:
    return bytes(record) if isinstance(record, bytes | msgspec.Raw) else msgspec.json.encode(record)


TOOL = Coco()

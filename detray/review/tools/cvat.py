"""CVAT: annotations as "CVAT for images 1.1" (docs.cvat.ai, "XML annotation format"), a file a split, and the labels
that its task needs.

Each box has the attributes ``suspect``, what is asked about it, and ``decision``, where the person chooses accept or
reject; ``detray`` is the mark. CVAT keeps the attributes that its labels declare, and rounds corners to .01 px.
"""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

import msgspec

from detray.errors import DetrayError
from detray.files import open_file
from detray.formats.cvat.reader import Cvat as Format
from detray.formats.cvat.reader import box_of, image_of, starts_of
from detray.formats.listing import MAX_FILE_BYTES
from detray.formats.values import Defects
from detray.review.answer import Answer, Found, word
from detray.review.canvas import Canvas, Shape, plain, words
from detray.review.key import Mark, read_mark
from detray.review.tool import Export, Put
from detray.review.values import numbers

_IN_MEMORY = 8 << 20
"""Bytes of the images up to which they are kept in memory until all labels are known."""

TAG = "detray"
"""The label of each picture's tag, with the picture's mark and what the audit found about it as a whole."""
_ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {"name": "decision", "mutable": False, "input_type": "select", "default_value": "open",
     "values": ["open", "accept", "reject"]},
    {"name": "suspect", "mutable": False, "input_type": "text", "default_value": "", "values": [""]},
    {"name": "detray", "mutable": False, "input_type": "text", "default_value": "", "values": [""]},
)  # fmt: skip
_MAX_TEXT = 4000
"""Characters of an attribute that CVAT keeps."""


class Cvat:
    """The tool ``cvat``."""

    name = "cvat"
    opening = (
        "make a task of the pictures that SPLIT.txt lists, with labels.json as its labels (Raw), and upload SPLIT.xml"
        " as 'CVAT 1.1'; review, save, and export as 'CVAT for images 1.1' (annotations.xml in the archive)"
    )
    by_share = False
    with_detections = False

    def picture(self, export: Export, canvas: Canvas) -> str:
        return export.named(canvas)

    def write(self, export: Export, canvases: Iterable[Canvas], put: Put) -> None:
        seen = dict.fromkeys(export.labels)
        for split, own in groupby(canvases, lambda canvas: canvas.split):
            names: list[str] = []
            put(f"{split}.xml", self._file(export, split, own, seen, names))
            put(f"{split}.txt", [f"{name}\n".encode() for name in names])
        put("labels.json", [msgspec.json.format(msgspec.json.encode(_labels(seen)), indent=1)])

    def _file(
        self, export: Export, split: str, canvases: Iterable[Canvas], seen: dict[str, None], names: list[str]
    ) -> Iterator[bytes]:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as images:
            for number, canvas in enumerate(canvases):
                seen.update(dict.fromkeys(shape.label for shape in canvas.shapes))
                names.append(plain(self.picture(export, canvas)))
                images.write(_image(export, canvas, number, names[-1]).encode())
            # all labels stand before the images; boxes of others would be dropped
            listed = "".join(map(_label, _labels(seen)))
            yield (
                '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task>'
                f"<name>{escape(plain(export.run))}, {escape(plain(split))}</name><mode>annotation</mode>"
                f"<labels>{listed}</labels></task></meta>\n"
            ).encode()
            images.seek(0)
            yield from iter(lambda: images.read(_IN_MEMORY), b"")
        yield b"</annotations>\n"

    def recognises(self, path: str) -> bool:
        return Format().recognises(Path(path))

    def read(self, path: str) -> Iterator[Answer]:
        starts, size, _ = starts_of(path)
        if not starts:
            raise DetrayError("holds no <image>; export the task as 'CVAT for images 1.1'")
        with open_file(path) as file:
            for start, end in pairwise([*starts, size]):
                if end - start > MAX_FILE_BYTES:
                    raise DetrayError(f"an image in it is longer than {MAX_FILE_BYTES >> 20} MiB")
                file.seek(start)
                yield _answer(image_of(file.read(end - start)))


def _labels(labels: Iterable[str]) -> list[dict[str, Any]]:
    own = [{"name": label, "type": "rectangle", "attributes": list(_ATTRIBUTES)} for label in labels]
    return [*own, {"name": TAG, "type": "tag", "attributes": list(_ATTRIBUTES[1:])}]


def _label(label: dict[str, Any]) -> str:
    attributes = "".join(
        f"<attribute><name>{one['name']}</name><mutable>False</mutable><input_type>{one['input_type']}</input_type>"
        f"<default_value>{one['default_value']}</default_value><values>{chr(10).join(one['values'])}</values></attribute>"
        for one in label["attributes"]
    )
    return (
        f"<label><name>{escape(label['name'])}</name><type>{label['type']}</type>"
        f"<attributes>{attributes}</attributes></label>"
    )


def _image(export: Export, canvas: Canvas, number: int, name: str) -> str:
    sides = (("width", canvas.width), ("height", canvas.height))
    size = "".join(f' {side}="{value}"' for side, value in sides if value is not None)
    boxes = "".join(_box(export, shape) for shape in canvas.shapes)
    tag = _tag(export.mark(canvas.number), "; ".join(map(words, canvas.asked)))
    return f'<image id="{number}" name={quoteattr(name)}{size}>\n{boxes}{tag}</image>\n'


def _box(export: Export, shape: Shape) -> str:
    x, y, width, height = shape.box
    corners = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
    sides = " ".join(f'{name}="{value:.2f}"' for name, value in corners.items())
    source, depth = ("auto", 1) if shape.is_suggested else ("manual", 0)
    suspect = shape.suspicion[:_MAX_TEXT]
    attributes = _attributes(decision="open", suspect=suspect, detray=export.mark(shape.number))
    return (
        f'<box label={quoteattr(shape.label)} source="{source}" occluded="0" {sides} z_order="{depth}">'
        f"{attributes}</box>\n"
    )


def _tag(mark: str, suspect: str) -> str:
    return f'<tag label="{TAG}" source="auto">{_attributes(suspect=suspect[:_MAX_TEXT], detray=mark)}</tag>\n'


def _attributes(**values: str) -> str:
    return "".join(f'<attribute name="{name}">{escape(value)}</attribute>' for name, value in values.items())


def _answer(image: Element) -> Answer:
    boxes: list[Found] = []
    left: dict[str, int] = {}
    picture: Mark | None = None
    for shape in image:
        stated = {one.get("name"): (one.text or "").strip() for one in shape.findall("attribute")}
        mark = read_mark(stated.get("detray"))
        if shape.tag == "tag":
            picture = picture or mark
            continue
        box = box_of(shape, Defects())
        if shape.tag != "box" and mark is None:
            what = f"shapes that are no boxes: {shape.tag}"
            left[what] = left.get(what, 0) + 1
            continue
        label = (shape.get("label") or "").strip() or None
        boxes.append(Found(mark, label, numbers((box or [None])[:4]), word(stated.get("decision"))))
    return Answer(picture, image.get("name"), boxes, left=left)


TOOL = Cvat()

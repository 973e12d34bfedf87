"""Label Studio: tasks with pre-annotations, and the labelling configuration of a project that takes them.

A prediction of each task holds its boxes and the suggested ones, as percentages
(labelstud.io/guide/predictions, /tags/rectanglelabels). Each region has the mark for its id, which an annotation keeps
that is made from the prediction; ``accept`` or ``reject`` is a choice for each region.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import msgspec

from detray.formats.json import whole
from detray.formats.label_studio.reader import DONE, SIZE, is_box, results_of
from detray.formats.outline import bounds, turned
from detray.report.sections.common import Box
from detray.review.answer import Answer, Found, Word, word
from detray.review.canvas import Canvas, Shape, words
from detray.review.key import Mark, read_mark
from detray.review.tool import Export, Put, file_of
from detray.review.values import Row, finite, numbers, row_of, rows_of, text

_LABEL, _IMAGE, _DECISION = "label", "image", "decision"
_LOCAL = "/data/local-files/?d="
_COLOURS = ("#2a78c8", "#d1495b", "#3a8f5c", "#8f6bb8", "#c77f1f", "#3d8f9e", "#b8578f", "#7d7d29")
_SHARES = ("x", "y", "width", "height")


class LabelStudio:
    """The tool ``label-studio``."""

    name = "label-studio"
    opening = (
        "make a project with config.xml as its labelling interface, import tasks.json, switch 'use predictions to"
        " prelabel tasks' on; review, submit, and export as JSON. Pictures on its disk are served where"
        " LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=/ are set and the"
        " folder is a local storage of the project; --pictures states another address"
    )
    by_share = True
    with_detections = False

    def picture(self, export: Export, canvas: Canvas) -> str:
        place = file_of(self.name, export, canvas)
        is_address = export.prefix is not None or "://" in place
        return place if is_address else _LOCAL + quote(place.lstrip("/"))

    def write(self, export: Export, canvases: Iterable[Canvas], put: Put) -> None:
        seen = dict.fromkeys(export.labels)  # a box may be of a class that the data set does not list
        put("tasks.json", self._tasks(export, canvases, seen))
        put("config.xml", [_config(seen)])

    def _tasks(self, export: Export, canvases: Iterable[Canvas], seen: dict[str, None]) -> Iterator[bytes]:
        before = b"[\n"
        for canvas in canvases:
            seen.update(dict.fromkeys(shape.label for shape in canvas.shapes))
            yield before + msgspec.json.encode(_task(export, canvas, self.picture(export, canvas)))
            before = b",\n"
        yield b"\n]\n" if before != b"[\n" else b"[]\n"

    def recognises(self, path: str) -> bool:
        found = whole.keys(path, 2)
        return "data" in found and not found.isdisjoint((*DONE, "predictions"))

    def read(self, path: str) -> Iterator[Answer]:
        for record in whole.elements(whole.read_text(path)):
            yield from _answers(row_of(whole.value_of(record)))


def _config(labels: Iterable[str]) -> bytes:
    classes = "".join(
        f"    <Label value={quoteattr(label)} background={quoteattr(_COLOURS[place % len(_COLOURS)])}/>\n"
        for place, label in enumerate(labels)
    )
    return (
        '<View>\n  <Header value="$says" size="6"/>\n'
        f'  <Choices name="{_DECISION}" toName="{_IMAGE}" perRegion="true" choice="single-radio" showInline="true">\n'
        '    <Choice value="accept" hotkey="a"/>\n    <Choice value="reject" hotkey="r"/>\n  </Choices>\n'
        f'  <Image name="{_IMAGE}" value="${_IMAGE}" zoom="true" zoomControl="true"/>\n'
        f'  <RectangleLabels name="{_LABEL}" toName="{_IMAGE}">\n{classes}  </RectangleLabels>\n</View>\n'
    ).encode()


def _task(export: Export, canvas: Canvas, picture: str) -> Row:
    asked = {item.about: item for shape in canvas.shapes for item in shape.asked}.values()
    kinds = Counter(item.about.kind.replace("_", " ") for item in asked)
    says = "; ".join([*(words(item) for item in canvas.asked), *(f"{kind} {n}" for kind, n in kinds.items())])
    prediction = {
        "model_version": f"detray {export.name}",
        "score": canvas.score,
        "result": [_region(export, canvas, shape) for shape in canvas.shapes],
    }
    data = {_IMAGE: picture, "says": says, "split": canvas.split, "detray": export.mark(canvas.number)}
    return {"data": data, "predictions": [prediction]}


def _region(export: Export, canvas: Canvas, shape: Shape) -> Row:
    size = (canvas.width or 1, canvas.height or 1)
    shares = (100 * side / size[place % 2] for place, side in enumerate(shape.box))
    more = {"meta": {"text": [shape.suspicion]}} if shape.asked else {}
    return {
        "id": export.mark(shape.number),
        "type": "rectanglelabels",
        "from_name": _LABEL,
        "to_name": _IMAGE,
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
        "score": shape.score,
        "value": dict(zip(_SHARES, shares, strict=True)) | {"rotation": 0, "rectanglelabels": [shape.label]},
    } | more


def _answers(task: Row) -> Iterator[Answer]:
    """What each person submitted."""
    data = row_of(task.get("data"))
    mark, name = read_mark(data.get("detray")), text(data.get(_IMAGE))
    regions: dict[tuple[Any, ...], list[Row]] = {}
    for path, _, region in results_of(task):
        regions.setdefault(path[:2], []).append(region)
    field = next((name for name in DONE if task.get(name)), DONE[0])
    done = [place for place, one in enumerate(rows_of(task.get(field))) if not one.get("was_cancelled")]
    for place in done:
        yield _answer(mark, name, regions.get((field, place), []))
    if not done:
        yield Answer(mark, name, [], is_seen=False)


def _answer(mark: Mark | None, name: str | None, regions: list[Row]) -> Answer:
    said: dict[Any, Word] = {}
    for region in regions:
        chosen = row_of(region.get("value")).get("choices")
        found = word(chosen[0]) if isinstance(chosen, list) and chosen else None
        if found and isinstance(region.get("id"), str):
            said[region["id"]] = found
    boxes: list[Found] = []
    left: dict[str, int] = {}
    for region in regions:
        kind = region.get("type")
        if kind == "rectanglelabels":
            boxes.append(_found(region, said))
        elif is_box(kind):
            what = f"shapes that are no boxes: {kind}"
            left[what] = left.get(what, 0) + 1
    return Answer(mark, name, boxes, is_share=True, left=left)


def _found(region: Row, said: dict[Any, Word]) -> Found:
    value, name = row_of(region.get("value")), region.get("id")
    box = numbers([value.get(side) for side in _SHARES])
    if box is not None and value.get("rotation"):
        box = _upright(box, value["rotation"], numbers([0, 0, *(region.get(side) for side in SIZE)]))
    labels = value.get("rectanglelabels")
    label = text(labels[0]) if isinstance(labels, list) and labels else None
    shares = None if box is None else (box[0] / 100, box[1] / 100, box[2] / 100, box[3] / 100)
    return Found(read_mark(name), label, shares, said.get(name) if isinstance(name, str) else None)


def _upright(box: Box, degrees: Any, size: Box | None) -> Box | None:
    """The bounds of a box that is turned about its upper left corner."""
    angle = finite(degrees)
    if size is None or angle is None:
        return None
    scale = (size[2], size[3]) * 2
    pixels = [side * whole_side for side, whole_side in zip(box, scale, strict=True)]
    around = bounds(turned(pixels, angle, pixels[:2]))
    return numbers([None if s is None else s / w for s, w in zip(around, scale, strict=True)])


TOOL = LabelStudio()

"""The pictures of the page: which part of which picture, and the boxes that are drawn on it.

The pixels go into the page as a JPEG of moderate size; the boxes are drawn over it as vector
graphics by the template, so they stay sharp, carry their class as text and follow no data into HTML.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from detray.arrays import Pixels
from detray.pictures import PictureError, read_picture

MAX_SIDE, MAX_WHOLE = 400, 720
"""Pixels of the longer side of an embedded close-up, and of a whole picture."""

PAGE_BYTES = 16 << 20
"""Bytes of all embedded pictures together; beyond it the boxes are shown without their picture."""

_JPEG_QUALITY = 82
_QUIET = ("truth", "found", "right")  # boxes whose label is left out where there are many
_LABELLED = ("truth", "found", "missed", "other")  # boxes of the annotations
_FEW = 12
_MAX_LABELS = 60
_MAX_MARKS = 300
_MIN_VIEW = 64.0  # px of the picture that a close-up shows at least,
_MIN_SHARE = 0.25  # and this share of its longer side
_CONTEXT = 3.0  # sides of the box that a close-up shows
_FAR = 0.5  # of the view: how far beyond the picture's edge the view follows a box

SCHEMA = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("jpeg", pa.binary()),
        pa.field("problem", pa.string()),
        *(pa.field(name, pa.float64()) for name in ("x", "y", "width", "height", "full_width", "full_height")),
    ]
)
"""How drawn pictures travel from the tasks to the page: ``x, y, width, height`` is the part of the
picture that ``jpeg`` shows, in pixels of the picture."""


@dataclass(frozen=True)
class Mark:
    """A box on a picture: x, y, width, height in pixels; ``style`` names its colour and line.

    Styles: truth (a labelled box), found and missed (labelled boxes by outcome), right and false
    (detections by outcome), fault (what a finding is about), other (its counterpart), suggested.
    """

    box: tuple[float, float, float, float]
    style: str
    label: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture that the page wants: a close-up of ``focus`` (x, y, width, height) or, without, all of it."""

    key: int
    path: str | None
    file_name: str | None
    marks: tuple[Mark, ...] = ()
    focus: tuple[float, float, float, float] | None = None


@dataclass
class Album:
    """The figures of a page, at most ``capacity``."""

    capacity: int
    figures: list[Figure] = field(default_factory=list)
    left_out: int = 0

    def add(
        self,
        path: str | None,
        file_name: str | None,
        marks: Sequence[Mark],
        focus: tuple[float, float, float, float] | None = None,
    ) -> int | None:
        """The key of a new figure; None where the album is full."""
        if len(self.figures) >= self.capacity:
            self.left_out += 1
            return None
        self.figures.append(Figure(len(self.figures), path, file_name, tuple(marks[-_MAX_MARKS:]), focus))
        return self.figures[-1].key


@dataclass(frozen=True)
class Drawn:
    """A figure as the template draws it, all in pixels of the picture.

    ``view`` is what is seen; ``place`` where ``uri``, a JPEG as a data URI, lies; ``unit`` the size
    of a small letter. Without a picture ``problem`` says why, and the boxes are drawn on blank.
    """

    figure: Figure
    view: tuple[float, float, float, float]
    place: tuple[float, float, float, float] | None
    uri: str | None
    problem: str | None
    unit: float

    @property
    def texts(self) -> list["Text"]:
        """Where the names stand: a detection's above its box and a label's below, so that both are read
        where they lie on each other; within the view in any case."""
        left, top, width, height = self.view
        marks = [m for m in self.figure.marks if m.label and (m.style not in _QUIET or len(self.figure.marks) <= _FEW)]
        found = []
        for mark in marks[:_MAX_LABELS]:
            x, y, wide, high = mark.box
            if x > left + width or y > top + height or x + wide < left or y + high < top:
                continue
            at_right = x > left + 0.7 * width
            found.append(
                Text(
                    round(min(x + wide, left + width) if at_right else max(x, left), 2),
                    round(self._below(y + high) if mark.style in _LABELLED else self._above(y), 2),
                    "end" if at_right else "start",
                    mark,
                )
            )
        return found

    def _above(self, edge: float) -> float:
        top = self.view[1]
        return edge - 0.3 * self.unit if edge > top + 1.3 * self.unit else max(edge, top) + 1.1 * self.unit

    def _below(self, edge: float) -> float:
        bottom = self.view[1] + self.view[3]
        return edge + self.unit if edge < bottom - 1.2 * self.unit else min(edge, bottom) - 0.4 * self.unit


@dataclass(frozen=True)
class Text:
    """A label at ``x, y`` in pixels of the picture, that starts or ends there."""

    x: float
    y: float
    anchor: str
    mark: Mark


def region(
    focus: tuple[float, float, float, float] | None, width: float, height: float
) -> tuple[float, float, float, float]:
    """The part of a picture of ``width`` by ``height`` that is shown: x, y, width, height in pixels.

    A close-up shows the box and its surroundings. It follows a box a little beyond the picture's
    edge and no further, so that one absurd coordinate does not make the picture a dot.
    """
    if focus is None or not np.isfinite(focus).all():
        return 0.0, 0.0, width, height
    x, y, wide, high = focus
    longer = max(width, height)
    side = min(max(_MIN_VIEW, _MIN_SHARE * longer, _CONTEXT * max(abs(wide), abs(high))), longer)
    left, right = _span(x, wide, side, width)
    top, bottom = _span(y, high, side, height)
    return left, top, right - left, bottom - top


def _span(start: float, length: float, side: float, size: float) -> tuple[float, float]:
    """``side`` pixels around a box's extent, within 0 and ``size`` but where the box itself leaves them."""
    pad, far = side / 8, _FAR * side
    low = max(start - pad, -far) if start < 0 else 0.0
    high = min(start + length + pad, size + far) if start + length > size else size
    if high - low <= side:
        return low, high
    first = min(max(start + length / 2 - side / 2, low), high - side)
    return first, first + side


def draw(figures: Sequence[Figure]) -> pa.Table:
    """Read, crop and encode the pictures of some figures: rows of `SCHEMA`.

    A picture that cannot be read is a row with its ``problem``.
    """
    return pa.Table.from_pylist([_draw_one(figure) for figure in figures], SCHEMA)


def read(path: str | None) -> tuple[Pixels | None, str | None]:
    """A picture, or why there is none."""
    if path is None:
        return None, "no image folder is stated"
    try:
        return read_picture(path), None
    except PictureError as error:
        return None, error.reason.replace("_", " ")


def encode(picture: Pixels) -> bytes:
    """A JPEG of moderate quality."""
    import cv2

    return bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes())


def shrink(picture: Pixels, side: int) -> Pixels:
    """The picture with its longer side at most ``side`` pixels."""
    import cv2

    scale = min(1.0, side / max(picture.shape[:2]))
    if scale == 1:
        return picture
    size = [max(round(length * scale), 1) for length in picture.shape[1::-1]]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _draw_one(figure: Figure) -> dict[str, object]:
    picture, problem = read(figure.path)
    if picture is None:
        return {"key": figure.key, "problem": problem}
    height, width = picture.shape[:2]
    x, y, wide, high = region(figure.focus, width, height)
    left, top = max(int(np.floor(x)), 0), max(int(np.floor(y)), 0)
    right, bottom = min(int(np.ceil(x + wide)), width), min(int(np.ceil(y + high)), height)
    row: dict[str, object] = {"key": figure.key, "full_width": float(width), "full_height": float(height)}
    if right <= left or bottom <= top:
        return row | {"problem": "the box lies outside of the picture"}
    place = {"x": float(left), "y": float(top), "width": float(right - left), "height": float(bottom - top)}
    return (
        row
        | place
        | {"jpeg": encode(shrink(picture[top:bottom, left:right], MAX_WHOLE if figure.focus is None else MAX_SIDE))}
    )


def place(figures: Sequence[Figure], rows: pa.Table) -> dict[int, Drawn]:
    """Each figure with its picture, by key; ``rows`` are of `SCHEMA`."""
    by_key = {row["key"]: row for row in rows.to_pylist()}
    drawn: dict[int, Drawn] = {}
    bytes_left = PAGE_BYTES
    for figure in figures:
        row = by_key[figure.key]
        jpeg, problem = row["jpeg"], row["problem"]
        if jpeg is not None and len(jpeg) * 4 / 3 > bytes_left:
            jpeg, problem = None, "not shown: the page is full"
        uri, spot = None, None
        if jpeg is not None:
            uri = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
            spot = (row["x"], row["y"], row["width"], row["height"])
            bytes_left -= len(uri)
        view = _view(figure, row["full_width"], row["full_height"])
        drawn[figure.key] = Drawn(
            figure, view, spot, uri, problem, max(view[2], view[3]) / (24 if figure.focus is None else 15)
        )
    return drawn


def _view(figure: Figure, width: float | None, height: float | None) -> tuple[float, float, float, float]:
    if width is None or height is None:
        # the picture's size is not known: as much as the boxes need
        ends = [(m.box[0] + m.box[2], m.box[1] + m.box[3]) for m in figure.marks if np.isfinite(m.box).all()]
        width = float(max([_MIN_VIEW, *(x for x, _ in ends)]))
        height = float(max([_MIN_VIEW, *(y for _, y in ends)]))
    return region(figure.focus, width, height)

"""How the four numbers of a box are written: as which of several formats they can be read."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from detray.arrays import Floats

AS_THEY_STAND, Y_FIRST, SPREAD = (0, 1, 2, 3), (1, 0, 3, 2), (0, 2, 1, 3)


@dataclass(frozen=True)
class Notation:
    """How four numbers are read: what they are, in which order, and what they are shares of (None: they are pixels).

    Attributes:
        kind: sides (the second two are width and height), corners, corners backwards, or centre.
        order: the places of x, y and the second two.
        shares: of the image's sides as x and y have them (own), or the other way round (other).
    """

    kind: Literal["sides", "corners", "corners backwards", "centre"]
    order: tuple[int, int, int, int] = AS_THEY_STAND
    shares: Literal["own", "other"] | None = None


SPREAD_CORNERS = "x, y, x2, y2 as shares of the image, in the columns of x, x2, y, y2"

FORMATS = {
    "x, y, width, height": Notation("sides"),
    "x, y, x2, y2": Notation("corners"),
    "centre x, y, width, height": Notation("centre"),
    "y, x, height, width": Notation("sides", Y_FIRST),
    "y, x, y2, x2": Notation("corners", Y_FIRST),
    "x2, y2, x, y": Notation("corners backwards"),
    "x, x2, y, y2": Notation("corners", SPREAD),
    "x, y, width, height as shares of the image": Notation("sides", shares="own"),
    "x, y, x2, y2 as shares of the image": Notation("corners", shares="own"),
    "centre x, y, width, height as shares of the image": Notation("centre", shares="own"),
    "y, x, y2, x2 as shares of the image": Notation("corners", Y_FIRST, "own"),
    "y, x, y2, x2 as shares of width and height in this order": Notation("corners", Y_FIRST, "other"),
    SPREAD_CORNERS: Notation("corners", SPREAD, "own"),
}
"""By name. Simpler ones first."""

OWN = {
    **dict.fromkeys(("voc", "tf_csv", "retinanet_csv", "cvat"), "x, y, x2, y2"),
    "createml": "centre x, y, width, height",
    "yolo": "centre x, y, width, height as shares of the image",
    "tfrecord": "x, y, x2, y2 as shares of the image",
    "open_images": "x, y, x2, y2 as shares of the image",
}
"""What stands in files of each format; in others x, y, width, height."""

READ_BETTER = "read better as"
"""What stands before the name of a format where boxes are found to be written in it."""


def named_in(text: str) -> Notation | None:
    """The format that a finding names behind `READ_BETTER`; None where it names none, or leaves it open which."""
    name = text.partition(f"{READ_BETTER} ")[2].removesuffix(" in pixels")
    return FORMATS.get(name)


def read_as(numbers: Floats, sizes: Floats, how: Notation) -> Floats:
    """Four numbers a box ``[n, 4]`` as x, y, width, height in px; ``sizes`` ``[n, 2]`` of their images."""
    numbers = numbers[:, how.order]
    if how.shares is not None:
        numbers = numbers * np.tile(sizes if how.shares == "own" else sizes[:, ::-1], 2)
    first, second = numbers[:, :2], numbers[:, 2:]
    if how.kind == "corners backwards":
        first, second = second, first
    if how.kind in ("corners", "corners backwards"):
        return np.concatenate([first, second - first], axis=1)
    return np.concatenate([first - second / 2, second], axis=1) if how.kind == "centre" else numbers


def as_written(boxes: Floats, sizes: Floats, how: Notation) -> Floats:
    """The numbers of which `read_as` made ``boxes``, for the formats in `OWN` and x, y, width, height."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if how.kind == "corners":
        second = first + second
    elif how.kind == "centre":
        first = first + second / 2
    numbers = np.concatenate([first, second], axis=1)
    return numbers if how.shares is None else numbers / np.tile(sizes, 2)

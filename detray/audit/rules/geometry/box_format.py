"""Boxes are written in another format than the file's.

Failure: corners read as width and height, centres as corners, y before x, or shares of the image as pixels: every
box is wrong, nothing is learned, and the AP of the class (or of all) is nil.
Number: a box is implausible if it reaches over 2 px beyond the image or has a side below 1 px. Where at least
`min_implausible` of the boxes of a split, class, annotator or source file are, the numbers that stand in the file are
read in each other format: x, y, width, height; x, y, x2, y2; centre, width, height; y before x; pixels or shares of the
image; in Open Images also x, y, x2, y2 in the columns of x, x2, y, y2. The format that leaves the fewest implausible is
named if `min_fit` of the boxes are plausible in it, and it is so often better and so rarely worse that chance
(sign test) is below 0.001. From `min_boxes` boxes on. A warning, as that is evidence and no proof; an error, and fatal
for a whole split, where not one box is possible as stated and every one is in the other format.
Source: Dixon and Mood, JASA 41 (1946), for the sign test; the formats of COCO, Pascal VOC, YOLO and TF Object Detection
API.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa

from detray.arrays import Flags, Floats
from detray.audit import tally as counts
from detray.audit.groups import Group, at_fault, every, members, whole
from detray.audit.measures import OVER_TOLERANCE
from detray.audit.rule import ERROR, FATAL, WARNING, Fact, HypothesisRule, Limits, Suspects, Threshold
from detray.audit.statistics import chance_of_preference
from detray.audit.summary import Summary
from detray.audit.tally import Tally
from detray.audit.view import View

MAX_CHANCE = 0.001
NEITHER, BOTH, BETTER, WORSE = range(4)
"""A box is plausible neither as stated nor in the other format, in both, only in the other, only as stated."""

EXPLAINS = (
    "out-of-bounds",
    "fully-outside",
    "degenerate-box",
    "sub-pixel-box",
    "tiny-box",
    "area-mismatch",
    "full-image-box",
    "size-outlier",
    "extreme-aspect",
    "coordinate-scale",
    "quantised-coordinates",
)

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
    "x, y, width, height as shares of the image": Notation("sides", shares="own"),
    "x, y, x2, y2 as shares of the image": Notation("corners", shares="own"),
    "centre x, y, width, height as shares of the image": Notation("centre", shares="own"),
    "y, x, y2, x2 as shares of the image": Notation("corners", Y_FIRST, "own"),
    "y, x, y2, x2 as shares of width and height in this order": Notation("corners", Y_FIRST, "other"),
    SPREAD_CORNERS: Notation("corners", SPREAD, "own"),
}
"""By name. Simpler ones first."""

OWN = {
    "voc": "x, y, x2, y2",
    "yolo": "centre x, y, width, height as shares of the image",
    "tfrecord": "x, y, x2, y2 as shares of the image",
    "open_images": "x, y, x2, y2 as shares of the image",
}
"""What stands in files of each format; in others x, y, width, height."""

ONLY_OF = {SPREAD_CORNERS: "open_images"}
"""Formats of boxes that only files of one format can be mistaken for."""

SWAPPED = {
    "x, y, x2, y2": "y, x, y2, x2",
    "x, y, x2, y2 as shares of the image": "y, x, y2, x2 as shares of the image",
}
"""Formats that shares, and square images, do not tell from those with y before x."""


@dataclass(frozen=True)
class Tried:
    """Groups of a split whose boxes are read anew, the format in which its files were read, and others to try."""

    own: str
    others: tuple[str, ...]
    groups: tuple[Group, ...]


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


def plausible(boxes: Floats, sizes: Floats) -> Flags:
    """Boxes with sides of at least a pixel within their images, ``[n]``."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    inside = (low >= -OVER_TOLERANCE) & (high <= sizes + OVER_TOLERANCE)
    return np.asarray((inside & (boxes[:, 2:] >= 1)).all(axis=1))


def suspects(data: Summary, limits: Limits) -> Suspects:
    """The groups of each split with so many implausible boxes that other formats are tried."""
    found = {}
    for split, tally in data.tallies.items():
        groups = every(data, split)
        everything = whole(data, split)
        if not _is_suspect(everything, tally, limits):
            groups = [group for group in groups if _is_suspect(group, tally, limits)]
        if groups:
            found[split] = [Tried(*_formats(data, split), tuple(groups))]
    return found


def _formats(data: Summary, split: str) -> tuple[str, tuple[str, ...]]:
    """In which format of boxes a split's files were read, and which others they may be in."""
    of_files = data.formats.get(split, "")
    own = OWN.get(of_files, next(iter(FORMATS)))
    return own, tuple(name for name in FORMATS if name != own and ONLY_OF.get(name, of_files) == of_files)


def _is_suspect(group: Group, tally: Tally, limits: Limits) -> bool:
    placed = group.count(tally, "placed")
    return placed >= limits["min_boxes"] and group.count(tally, "implausible") >= limits["min_implausible"] * placed


def gather(view: View, suspected: Sequence[Tried]) -> Iterator[pa.Table]:
    """For each format, how its reading of the suspects' boxes compares, as counts under `NEITHER` to `WORSE`."""
    (tried,) = suspected
    placed = ~np.isnan(view.overhang)
    own = plausible(view.boxes, view.image_sizes(np.arange(len(placed))))
    for suffix, ids, rows, codes in members(view, tried.groups):
        rows, codes = rows[placed[rows]], codes[placed[rows]]
        sizes, as_stated = view.image_sizes(rows), own[rows]
        numbers = as_written(view.boxes[rows], sizes, FORMATS[tried.own])
        for name in tried.others:
            fits = plausible(read_as(numbers, sizes, FORMATS[name]), sizes)
            key = np.where(fits, np.where(as_stated, BOTH, BETTER), np.where(as_stated, WORSE, NEITHER))
            yield counts.count(f"format:{name}{suffix}", ids, codes, key)


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    judged, verdict = partial(_is_judged, data, limits), partial(_verdict, data, limits)
    return [fact for split in sorted(data.evidence) for fact in at_fault(data, split, judged, verdict)]


def _is_judged(data: Summary, limits: Limits, group: Group) -> bool:
    return group.count(data.tallies[group.split], "placed") >= limits["min_boxes"]


def _verdict(data: Summary, limits: Limits, group: Group) -> Fact | None:
    """The format that explains a group's boxes."""
    own, others = _formats(data, group.split)
    misfits: dict[str, int] = {}
    best: tuple[int, str, float, bool] | None = None
    for name in others:
        keys, n = group.histogram(data.evidence[group.split], f"format:{name}")
        seen = dict(zip(keys.tolist(), n.tolist(), strict=True))
        neither, both, better, worse = (seen.get(key, 0) for key in (NEITHER, BOTH, BETTER, WORSE))
        misfits[name] = neither + worse
        if not seen or both + better < limits["min_fit"] * (neither + both + better + worse):
            continue
        chance = chance_of_preference(better, worse)
        if chance < MAX_CHANCE and (best is None or misfits[name] < best[0]):
            best = (misfits[name], name, 1 - chance, neither + both + worse == 0)
    if best is None:
        return None
    fewest, name, confidence, is_proven = best
    swapped = SWAPPED.get(name)
    if swapped is not None and misfits.get(swapped, fewest + 1) <= fewest:
        name += ", or y before x"
    if FORMATS[own].shares and not FORMATS[best[1]].shares:
        name += " in pixels"
    n_boxes = group.count(data.tallies[group.split], "placed")
    return group.fact(
        f"{n_boxes} boxes{group.whose} read better as {name}",
        n_boxes,
        confidence=confidence,
        kind=name,
        expected=own if FORMATS[own].shares else f"{own} in pixels",
        severity=(FATAL if group.is_whole else ERROR) if is_proven else WARNING,
        explains=EXPLAINS,
    )


RULE = HypothesisRule(
    code="box-format",
    family="geometry",
    severity=WARNING,
    scope="class",
    problem="its boxes are written in another format",
    fix="write the boxes in the format of their file",
    doc=__doc__,
    thresholds=(
        Threshold("min_implausible", 0.05, "of the boxes", 0.001, 1.0, "from this share on other formats are tried"),
        Threshold("min_fit", 0.9, "of the boxes", 0.5, 1.0, "plausible in the format that is named"),
        Threshold("min_boxes", 20, "boxes", 5, 1e9, "fewer are not judged"),
    ),
    suspects=suspects,
    gather=gather,
    check=_check,
)

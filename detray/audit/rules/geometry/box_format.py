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

import numpy as np
import pyarrow as pa

from detray.audit import tally as counts
from detray.audit.groups import Group, at_fault, every, members, whole
from detray.audit.rule import ERROR, FATAL, WARNING, Fact, HypothesisRule, Limits, Suspects, Threshold
from detray.audit.rules.sides import WRONG_NUMBERS
from detray.audit.statistics import chance_of_preference
from detray.audit.summary import Summary
from detray.audit.tally import Tally
from detray.audit.view import View
from detray.box_formats import FORMATS, OWN, READ_BETTER, SPREAD_CORNERS, as_written, read_as
from detray.boxes import plausible

MAX_CHANCE = 0.001
NEITHER, BOTH, BETTER, WORSE = range(4)
"""A box is plausible neither as stated nor in the other format, in both, only in the other, only as stated."""

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
        f"{n_boxes} boxes{group.whose} {READ_BETTER} {name}",
        n_boxes,
        confidence=confidence,
        kind=name,
        expected=own if FORMATS[own].shares else f"{own} in pixels",
        severity=(FATAL if group.is_whole else ERROR) if is_proven else WARNING,
        explains=WRONG_NUMBERS,
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

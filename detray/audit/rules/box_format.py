"""Boxes are written in another format than the file's.

Failure: corners read as width and height, centres as corners, y before x, or shares of the image as pixels: every
box is wrong, nothing is learned, and the AP of the class (or of all) is nil.
Number: a box is implausible if it reaches over 2 px beyond the image or has a side below 1 px. Where at least
`min_implausible` of the boxes of a split, class or annotator are, all are read in each other format: x, y, x2, y2;
centre, width, height; y before x; shares of the image. The format that leaves the fewest implausible is named if
`min_fit` of the boxes are plausible in it and preferred if it is so often better and so rarely worse that chance
(Hoeffding's bound for the sign test) is below 0.001. From `min_boxes` boxes on.
Source: Hoeffding, JASA 58 (1963); the formats of COCO, Pascal VOC, YOLO and TF Object Detection API.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray.audit import tally as counts
from detray.audit.measures import OVER_TOLERANCE
from detray.audit.rule import ERROR, FATAL, Fact, HypothesisRule, Limits, Suspects, Threshold
from detray.audit.statistics import chance_of_preference
from detray.audit.summary import Summary
from detray.audit.tally import Tally
from detray.audit.view import NO_ID, View

Floats = NDArray[np.float64]

MAX_CHANCE = 0.001
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
)

FORMATS = {
    "x, y, x2, y2": ("corners", False, False),
    "centre x, y, width, height": ("centre", False, False),
    "y, x, height, width": ("sides", True, False),
    "y, x, y2, x2": ("corners", True, False),
    "shares of the image": ("sides", False, True),
    "x, y, x2, y2 as shares of the image": ("corners", False, True),
    "centre x, y, width, height as shares of the image": ("centre", False, True),
    "y, x, y2, x2 as shares of the image": ("corners", True, True),
}
"""By name: what the four numbers are, whether y stands before x, and whether they are shares. Simpler ones first."""


def read_as(boxes: Floats, sizes: Floats, kind: str, swapped: bool, shares: bool) -> Floats:
    """Boxes ``[n, 4]`` in another format as x, y, width, height in px; ``sizes`` ``[n, 2]`` of their images."""
    numbers = boxes[:, [1, 0, 3, 2]] if swapped else boxes
    if shares:
        numbers = numbers * np.tile(sizes, 2)
    first, second = numbers[:, :2], numbers[:, 2:]
    if kind == "corners":
        return np.concatenate([first, second - first], axis=1)
    return np.concatenate([first - second / 2, second], axis=1) if kind == "centre" else numbers


def plausible(boxes: Floats, sizes: Floats) -> NDArray[np.bool_]:
    """Boxes with sides of at least a pixel within their images, ``[n]``."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    inside = (low >= -OVER_TOLERANCE) & (high <= sizes + OVER_TOLERANCE)
    return np.asarray((inside & (boxes[:, 2:] >= 1)).all(axis=1))


def suspects(data: Summary, limits: Limits) -> Suspects:
    """The classes and annotators of each split with so many implausible boxes that other formats are tried."""
    found = {}
    for split, tally in data.tallies.items():
        placed, wrong = tally.per_class("placed"), tally.per_class("implausible")
        classes = tuple(key for key in placed if _is_suspect(placed[key], wrong.get(key, 0), limits))
        people = tuple(
            name
            for name in data.annotators(split)
            if _is_suspect(tally.total(f"placed@{name}"), tally.total(f"implausible@{name}"), limits)
        )
        if classes or people:
            found[split] = (classes, people)
    return found


def _is_suspect(placed: int, wrong: int, limits: Limits) -> bool:
    return placed >= limits["min_boxes"] and wrong >= limits["min_implausible"] * placed


def gather(view: View, classes: Sequence[int], people: Sequence[str]) -> Iterator[pa.Table]:
    """For each format, how its reading of the suspects' boxes compares: key 0 implausible, 1 plausible as the file's
    own reading, 2 plausible where that is not, 3 implausible where that is plausible."""
    placed = np.flatnonzero(~np.isnan(view.overhang))
    own = plausible(view.boxes[placed], view.image_sizes(placed))
    groups = [("", placed[np.isin(view.category_ids[placed], classes)])]
    groups += [(f"@{name}", np.intersect1d(placed, rows)) for name, rows in view.annotators if name in people]
    for suffix, rows in groups:
        boxes, sizes = view.boxes[rows], view.image_sizes(rows)
        as_stated = own[np.searchsorted(placed, rows)]
        for name, how in FORMATS.items():
            fits = plausible(read_as(boxes, sizes, *how), sizes)
            key = np.where(fits, np.where(as_stated, 1, 2), np.where(as_stated, 3, 0))
            if suffix:
                yield counts.count_all(f"format:{name}{suffix}", key)
            else:
                yield counts.count(f"format:{name}", view.class_ids, view.class_codes[rows], key)


def best_format(evidence: Mapping[str, tuple[int, int, int, int]], limits: Limits) -> tuple[str, float] | None:
    """The format that explains some boxes, and its confidence; None where none does.

    ``evidence`` holds, by format, the counts of `gather`'s keys 0 to 3.
    """
    found = None
    fewest = None
    for name, (neither, both, better, worse) in evidence.items():
        n = neither + both + better + worse
        if n < limits["min_boxes"] or both + better < limits["min_fit"] * n:
            continue
        chance = chance_of_preference(better, worse)
        if chance < MAX_CHANCE and (fewest is None or neither + worse < fewest):
            found, fewest = (name, 1 - chance), neither + worse
    return found


def check(data: Summary, limits: Limits) -> Sequence[Fact]:
    return [fact for split in sorted(data.evidence) for fact in _in_split(data, split, limits)]


def _in_split(data: Summary, split: str, limits: Limits) -> Iterator[Fact]:
    tally = data.evidence[split]
    for person in data.annotators(split):
        found = best_format(_evidence(tally, f"@{person}", NO_ID), limits)
        if found is not None:
            n = data.tallies[split].total(f"placed@{person}")
            yield _fact(split, *found, n, annotator=person)
    by_class = {}
    for key in tally.per_class(f"format:{next(iter(FORMATS))}"):
        if (found := best_format(_evidence(tally, "", key), limits)) is not None:
            by_class[key] = found
    placed = data.tallies[split].per_class("placed")
    judged = {key for key, n in placed.items() if n >= limits["min_boxes"]}
    for name in dict.fromkeys(name for name, _ in by_class.values()):
        members = [key for key, (format, _) in by_class.items() if format == name]
        confidence = min(by_class[key][1] for key in members)
        if len(members) > 1 and set(members) >= judged:
            yield _fact(split, name, confidence, sum(placed[key] for key in members))
            continue
        for key in members:
            class_name = data.classes[split].get(key, str(key))
            yield _fact(split, name, by_class[key][1], placed[key], category_id=key, category_name=class_name)


def _evidence(tally: Tally, suffix: str, key: int) -> dict[str, tuple[int, int, int, int]]:
    found = {}
    for name in FORMATS:
        keys, n = tally.histogram(f"format:{name}{suffix}", key)
        by_key = dict(zip(keys.tolist(), n.tolist(), strict=True))
        found[name] = tuple(by_key.get(kind, 0) for kind in range(4))
    return found


def _fact(
    split: str,
    name: str,
    confidence: float,
    n: int,
    *,
    category_id: int | None = None,
    category_name: str | None = None,
    annotator: str | None = None,
) -> Fact:
    who = f" of {annotator}" if annotator else ""
    return Fact(
        split,
        f"{n} boxes{who} read better as {name}",
        expected="x, y, width, height in pixels",
        category_id=category_id,
        category_name=category_name,
        count=n,
        confidence=confidence,
        severity=FATAL if category_id is None and annotator is None else ERROR,
        explains=EXPLAINS,
        annotator=annotator,
    )


RULE = HypothesisRule(
    code="box-format",
    family="geometry",
    severity=FATAL,
    scope="class",
    problem="its boxes are written in another format",
    fix="convert the boxes to x, y, width, height in pixels",
    doc=__doc__,
    thresholds=(
        Threshold("min_implausible", 0.05, "of the boxes", 0.001, 1.0, "from this share on other formats are tried"),
        Threshold("min_fit", 0.9, "of the boxes", 0.5, 1.0, "plausible in the format that is named"),
        Threshold("min_boxes", 20, "boxes", 5, 1e9, "fewer are not judged"),
    ),
    suspects=suspects,
    gather=gather,
    check=check,
)

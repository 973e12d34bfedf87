"""Boxes were drawn at another resolution than stated.

Failure: the images were resized after annotation, or the boxes come from a resized copy, so every box is off by the
same factor: nothing is where its box says.
Number: where the outermost 0.5% of the edges lie, as shares of the width and height, over a whole split, an annotator
or a class. Larger: right and lower edges reach `min_factor` or more beyond the image, by about the same factor both
ways. Smaller: they end at 1 / `min_factor` or less, by about the same factor both ways, though the left and upper
edges come as near to 0 as they should; its confidence is one less the chance that as many images would leave their
right part empty as often as their left part holds a box. From `min_boxes` boxes in `min_images` images on.
Source: mirror symmetry of photographs, which horizontal flips in training rely on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from detray.audit.measures import EDGE_STEPS
from detray.audit.rule import WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.statistics import Histogram, pooled, quantile_key, share_at_most
from detray.audit.summary import Summary

Key = TypeVar("Key")

OUTERMOST = 0.005
SAME = 1.15  # two factors within this ratio are the same
MIN_CONFIDENCE = 0.99
SIDES = ("left", "top", "right", "bottom")
EXPLAINS = ("out-of-bounds", "fully-outside")


@dataclass(frozen=True)
class Edges:
    """Where the edges of some boxes lie: histograms of left, top, right and bottom in 64ths of the image, and how
    many images hold them."""

    sides: Sequence[Histogram]
    n_images: int

    @property
    def n_boxes(self) -> int:
        return int(self.sides[0][1].sum())


def factor(edges: Edges, limits: Limits) -> tuple[float, float] | None:
    """The factor by which boxes are too large, and its confidence; None where there is none."""
    if not _is_judged(edges, limits):
        return None
    left, top = (quantile_key(one, OUTERMOST) / EDGE_STEPS for one in edges.sides[:2])
    right, bottom = ((quantile_key(one, 1 - OUTERMOST) + 1) / EDGE_STEPS for one in edges.sides[2:])
    if not 1 / SAME <= right / max(bottom, 1e-9) <= SAME:
        return None
    scale = max(right, bottom)
    if min(right, bottom) >= limits["min_factor"] and left >= -0.05 and top >= -0.05:
        beyond = 1 - min(share_at_most(one, EDGE_STEPS) for one in edges.sides[2:])
        return (scale, 1 - (1 - beyond) ** edges.n_images) if beyond > 0.05 else None
    if 0 < scale <= 1 / limits["min_factor"] and 0 <= max(left, top) <= (1 - scale) / 4:
        mirrored = min(share_at_most(one, (1 - scale) * EDGE_STEPS - 1) for one in edges.sides[:2])
        confidence = 1 - (1 - mirrored) ** edges.n_images
        return (scale, confidence) if confidence >= MIN_CONFIDENCE else None
    return None


def check(data: Summary, limits: Limits) -> Sequence[Fact]:
    return [fact for split in data.splits for fact in _in_split(data, split, limits)]


def _in_split(data: Summary, split: str, limits: Limits) -> Iterator[Fact]:
    tally, names, n_images = data.tallies[split], data.classes[split], data.n_images(split)
    people = {
        name: Edges([tally.histogram(f"{side}@{name}") for side in SIDES], n_images) for name in data.annotators(split)
    }
    odd = _odd(people, limits)
    if 0 < len(odd) < sum(_is_judged(one, limits) for one in people.values()):
        for name, found in odd.items():
            yield _fact(split, *found, people[name].n_boxes, annotator=name)
        return
    classes = {
        key: Edges([tally.histogram(side, key) for side in SIDES], data.images[split].get(key, 0)) for key in names
    }
    odd_classes = _odd(classes, limits)
    if len(odd_classes) == sum(_is_judged(one, limits) for one in classes.values()):
        whole = Edges([pooled([one.sides[place] for one in classes.values()]) for place in range(4)], n_images)
        if (found_whole := factor(whole, limits)) is not None:
            yield _fact(split, *found_whole, whole.n_boxes)
            return
    for key, found in odd_classes.items():
        yield _fact(split, *found, classes[key].n_boxes, category_id=key, category_name=names[key])


def _is_judged(edges: Edges, limits: Limits) -> bool:
    return edges.n_boxes >= limits["min_boxes"] and edges.n_images >= limits["min_images"]


def _odd(groups: Mapping[Key, Edges], limits: Limits) -> dict[Key, tuple[float, float]]:
    """Factor and confidence of those groups that have one."""
    return {key: found for key, edges in groups.items() if (found := factor(edges, limits)) is not None}


def _fact(
    split: str,
    scale: float,
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
        f"{n} boxes{who} are about {scale:.2f} times as large as the images say",
        expected="boxes in pixels of the image as stated",
        category_id=category_id,
        category_name=category_name,
        count=n,
        confidence=confidence,
        explains=EXPLAINS if scale > 1 else (),
        annotator=annotator,
    )


RULE = SummaryRule(
    code="coordinate-scale",
    family="geometry",
    severity=WARNING,
    scope="class",
    problem="its boxes were drawn at another resolution",
    fix="divide the boxes by the factor, or state the size that they were drawn at",
    doc=__doc__,
    thresholds=(
        Threshold("min_factor", 1.25, "times", 1.05, 100, "smaller factors are not told from how objects lie"),
        Threshold("min_boxes", 200, "boxes", 20, 1e9, "fewer are not judged"),
        Threshold("min_images", 50, "images", 10, 1e9, "fewer are not judged"),
    ),
    check=check,
)

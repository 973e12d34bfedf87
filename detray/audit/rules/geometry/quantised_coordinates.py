"""Boxes lie on a coarse grid.

Failure: corners were rounded, by a tool, a heat map's stride or a conversion, so every box is off by up to half a
step: small objects lose the IoU that counts, and the model learns the grid.
Number: the largest step k (of 4, 5, 8, 10, 16, 20, 32, 40, 80, 160 px) that divides x, y, width and height of at
least `min_share` of the boxes of a split, class, annotator or source file; chance gives 1/k^4. From `min_boxes` boxes
on. What box-format explains is not said again: pixels read as shares are multiples of the sides of images.
Source: the step of feature maps is 4 to 32 px; annotation tools snap to grids.
"""

from collections.abc import Sequence
from functools import partial

from detray.audit.groups import Group, at_fault
from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.summary import Summary

STEPS = (160, 80, 40, 32, 20, 16, 10, 8, 5, 4)


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    judged, verdict = partial(_is_judged, data, limits), partial(_verdict, data, limits)
    return [fact for split in data.splits for fact in at_fault(data, split, judged, verdict)]


def _is_judged(data: Summary, limits: Limits, group: Group) -> bool:
    return group.count(data.tallies[group.split], "grid") >= limits["min_boxes"]


def _verdict(data: Summary, limits: Limits, group: Group) -> Fact | None:
    """The largest step that enough of the group's boxes keep."""
    keys, n = group.histogram(data.tallies[group.split], "grid")
    total = int(n.sum())
    for step in STEPS:
        on_grid = int(n[keys % step == 0].sum())
        if on_grid >= limits["min_share"] * total:
            text = f"{on_grid / total:.0%} of {total} boxes{group.whose} on multiples of {step} px"
            return group.fact(text, on_grid)
    return None


RULE = SummaryRule(
    code="quantised-coordinates",
    family="geometry",
    severity=SUSPECT,
    scope="class",
    problem="its boxes lie on a coarse grid",
    fix="export the boxes without rounding, or draw them again",
    doc=__doc__,
    thresholds=(
        Threshold("min_share", 0.9, "of the boxes", 0.1, 1.0, "from this share the boxes lie on the grid"),
        Threshold("min_boxes", 50, "boxes", 5, 1e9, "fewer are not judged"),
    ),
    check=_check,
)

"""The objects of a class do not fit the detector: too small or too large for its anchors, or of a shape that none has.

Failure: the resize to the model's input leaves a few pixels of the object; an anchor that overlaps a box by less than
half is not trained on it but as background, so the class is learned from its few largest boxes.
Number: each box's width and height at the configured input (bins of an eighth of an octave); the share that no anchor
reaches with an IoU of 0.5 if centred on it, at least `max_unreached`; or a median side below `min_side` px.
Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017 (anchors are positive from IoU 0.5 on).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.reach import is_reached, sides_at_input
from detray.audit.statistics import Histogram, weighted_median
from detray.audit.summary import Summary
from detray.boxes import Reach

INPUT_STEP = 32
"""Pixels: an input is a multiple of the coarsest stride."""
INPUT_SCALES = (0.5, 0.625, 0.75, 1.25, 1.5, 2.0)
"""Other inputs that are tried, as multiples of the configured one."""
WORTHWHILE = 0.5
"""Of the unreached boxes that remain: an input that leaves more is no remedy."""

LARGER = "raise detector.input_height and detector.input_width, or train on tiles"


@dataclass(frozen=True)
class Sizes:
    """Boxes of a class at the detector's input: ``sides``, width and height in px ``[k, 2]``, ``n`` of each ``[k]``."""

    sides: Floats
    n: Ints

    @staticmethod
    def of(histogram: Histogram) -> "Sizes":
        """From a tally of bins of an eighth of an octave."""
        keys, n = histogram
        return Sizes(sides_at_input(keys), n)

    @property
    def side(self) -> Floats:
        """The side of a square of equal area, ``[k]``."""
        return np.sqrt(self.sides.prod(axis=1))

    def median_side(self) -> float:
        """In px, over all boxes."""
        order = np.argsort(self.side, kind="stable")
        return float(self.side[order][weighted_median(self.n[order])])

    def at(self, x: float, y: float) -> "Sizes":
        """At an input that is ``x`` times as wide and ``y`` times as high."""
        return Sizes(self.sides * (x, y), self.n)

    def unreached(self, anchors: Floats) -> Flags:
        """Where no anchor (width and height in px, ``[a, 2]``) has an IoU of .5 if centred on the box: ``[k]``."""
        return ~is_reached(self.sides, anchors)

    def share(self, rows: Flags) -> float:
        """Of all boxes, those in ``rows``."""
        return float(self.n[rows].sum() / self.n.sum())


def better_input(sizes: Sizes, reach: Reach) -> tuple[int, int, float] | None:
    """The input (width, height) at which the fewest boxes are unreached, and their share there.

    None where none of `INPUT_SCALES` leaves at most the share `WORTHWHILE` of those at the configured input.
    """
    anchors = np.array(reach.anchors)
    best = WORTHWHILE * sizes.share(sizes.unreached(anchors))
    found = None
    for scale in INPUT_SCALES:
        width, height = (
            max(INPUT_STEP, round(side * scale / INPUT_STEP) * INPUT_STEP)
            for side in (reach.input_width, reach.input_height)
        )
        scaled = sizes.at(width / reach.input_width, height / reach.input_height)
        share = scaled.share(scaled.unreached(anchors))
        if share < best or (share == best and found is None):
            best, found = share, (width, height, share)
    return found


def _misfit(sizes: Sizes, reach: Reach) -> str:
    """What most of the boxes that no anchor reaches are: too small, too large, or of another shape."""
    anchors = np.array(reach.anchors)
    lost, side = sizes.unreached(anchors), np.sqrt(anchors.prod(axis=1))
    kinds = {
        f"too large for the largest anchor, {side.max():.0f} px": lost & (sizes.side > side.max()),
        f"too small for the smallest anchor, {side.min():.0f} px": lost & (sizes.side < side.min()),
    }
    kinds["of a shape that no anchor has"] = lost & ~np.logical_or.reduce(list(kinds.values()))
    return max(kinds, key=lambda kind: sizes.share(kinds[kind]))


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    if data.reach is None:
        return []
    facts = []
    for split, category_id, name in data.each_class():
        histogram = data.tallies[split].histogram("effective", category_id)
        if len(histogram[0]) and (told := _told(Sizes.of(histogram), data.reach, limits)) is not None:
            observed, count, threshold, fix = told
            facts.append(
                Fact(
                    split,
                    observed,
                    category_id=category_id,
                    category_name=name,
                    count=count,
                    threshold=threshold,
                    fix=fix,
                )
            )
    return facts


def _told(sizes: Sizes, reach: Reach, limits: Limits) -> tuple[str, int, str, str] | None:
    """What is wrong with the sizes of a class: observed, count of boxes, threshold, mend; None: nothing."""
    share, side, n = sizes.share(sizes.unreached(np.array(reach.anchors))), sizes.median_side(), int(sizes.n.sum())
    at = f"median side {side:.1f} px at {reach.input_width} x {reach.input_height}"
    if share < limits["max_unreached"]:
        return None if side >= limits["min_side"] else (at, n, "min_side", LARGER)
    observed = f"{at}; no anchor reaches {share:.0%} of {n} boxes, most of them {_misfit(sizes, reach)}"
    mend = better_input(sizes, reach)
    if mend is None:
        fix = "set detector.anchors to auto, which fits them to the boxes; no other input size helps"
    else:
        width, height, left = mend
        fix = (
            f"set detector.anchors to auto, which fits them to the boxes, or detector.input_width to {width} and"
            f" detector.input_height to {height}, where {left:.0%} are not reached"
        )
    return observed, round(share * n), "max_unreached", fix


RULE = SummaryRule(
    code="effective-size",
    family="class",
    severity=SUSPECT,
    scope="class",
    problem="the class does not fit what the detector can see",
    fix=LARGER,
    doc=__doc__,
    thresholds=(
        Threshold("max_unreached", 0.25, "of the boxes", 0.01, 1.0, "from this share on the anchors do not fit"),
        Threshold("min_side", 8.0, "px", 0.0, 1000.0, "a median side below it at the input is too small"),
    ),
    check=_check,
)

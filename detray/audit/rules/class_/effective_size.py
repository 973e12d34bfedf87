"""The objects of a class are too small at the detector's input, or of a shape that no anchor has.

Failure: the resize to the model's input leaves a few pixels of the object; an anchor that overlaps a box by less than
half is not trained on it but as background, so the class is learned from its few largest boxes.
Number: each box's width and height at the configured input (bins of an eighth of an octave); the share that no anchor
reaches with an IoU of 0.5 if centred on it, at least `max_unreached`; or a median side below `min_side` px.
Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017 (anchors are positive from IoU 0.5 on).
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.reach import is_reached, sides_at_input
from detray.audit.statistics import Histogram, weighted_median
from detray.audit.summary import Summary
from detray.boxes import Reach


def unreached(histogram: Histogram, reach: Reach) -> tuple[float, float]:
    """The share of boxes that no anchor reaches, and the median side in px at the input."""
    keys, n = histogram
    sides = sides_at_input(keys)
    side = np.sqrt(sides.prod(axis=1))
    order = np.argsort(side, kind="stable")
    lost = n[~is_reached(sides, np.array(reach.anchors))].sum()
    return float(lost / n.sum()), float(side[order][weighted_median(n[order])])


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    if data.reach is None:
        return []
    facts = []
    for split, category_id, name in data.each_class():
        histogram = data.tallies[split].histogram("effective", category_id)
        if not len(histogram[0]):
            continue
        share, side = unreached(histogram, data.reach)
        lacks_anchors = share >= limits["max_unreached"]
        if lacks_anchors or side < limits["min_side"]:
            size = f"{data.reach.input_width} x {data.reach.input_height}"
            n = int(histogram[1].sum())
            facts.append(
                Fact(
                    split,
                    f"median side {side:.1f} px at {size}; no anchor reaches {share:.0%} of {n} boxes",
                    category_id=category_id,
                    category_name=name,
                    count=round(share * n) if lacks_anchors else n,
                    threshold="max_unreached" if lacks_anchors else "min_side",
                )
            )
    return facts


RULE = SummaryRule(
    code="effective-size",
    family="class",
    severity=SUSPECT,
    scope="class",
    problem="the detector can hardly see the class at its input size",
    fix="raise detector.input_height and detector.input_width, or train on tiles",
    doc=__doc__,
    thresholds=(
        Threshold("max_unreached", 0.25, "of the boxes", 0.01, 1.0, "from this share on the anchors do not fit"),
        Threshold("min_side", 8.0, "px", 0.0, 1000.0, "a median side below it at the input is too small"),
    ),
    check=_check,
)

"""Every box of a split states the same area, whatever its sides are, or one that no mask explains.

Failure: COCO's evaluation puts boxes into small, medium and large by this field: with an area of 1 all are small, and
AP of medium and large boxes is undefined. AP over all sizes stays what it is.
Number: stated areas below half of the box's, in bins of 1/64 octave; at least `min_share` of the split's single
objects, and at least `min_boxes`, in one bin, or below 1% of the box's, which no mask leaves empty
(shares of the image, other units), or in any bin where no object has a mask. Areas of masks are smaller than the box
too, but differ.
Source: pycocotools/cocoeval.py, evaluateImg ('_ignore' by g['area']); converters that write area 1.0 for every box.
"""

from collections.abc import Sequence

from detray.audit.pattern_counts import MAX_FILL
from detray.audit.rule import WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.summary import Summary
from detray.audit.tally import bin_centres


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split in data.splits:
        keys, n = data.tallies[split].histogram("low_area")
        total = sum(data.boxes[split].values()) - sum(data.crowds[split].values())
        least = max(limits["min_boxes"], limits["min_share"] * total)
        if not len(n) or n.max() < least:
            little = data.tallies[split].total("little_area")
            if little >= least:
                observed = f"{little} of {total} boxes have an area below {MAX_FILL:.0%} of width times height"
                facts.append(_fact(data, split, observed, little))
            elif data.masks.get(split) == 0 and n.sum() >= least:
                observed = f"{n.sum()} of {total} boxes have an area below half of width times height, and none a mask"
                facts.append(_fact(data, split, observed, int(n.sum())))
            continue
        area, count = float(bin_centres(keys[n.argmax()])), int(n.max())
        facts.append(_fact(data, split, f"{count} of {total} boxes have an area of about {area:.3g} px²", count))
    return facts


def _fact(data: Summary, split: str, observed: str, count: int) -> Fact:
    small = data.tallies[split].total("made_small")
    effect = f"; {small} of larger ones count as small by it" if small else ""
    return Fact(split, observed + effect, count=count)


RULE = SummaryRule(
    code="constant-area",
    family="geometry",
    severity=WARNING,
    scope="split",
    problem="its boxes state areas that are not theirs, as their sides say",
    expected="the area of the mask, or width times height",
    fix="write the area of the mask, or width times height",
    doc=__doc__,
    thresholds=(
        Threshold("min_share", 0.9, "of the boxes", 0.5, 1.0, "from this share on the area is no coincidence"),
        Threshold("min_boxes", 10, "boxes", 2, 1e9, "fewer may agree by chance"),
    ),
    check=_check,
)

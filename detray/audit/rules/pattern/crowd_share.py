"""Crowd regions are marked in some splits only.

Failure: crowd regions take no part in training and are ignored in scoring. Where one split marks them and another does
not, the same groups of objects are targets or false detections there.
Number: a split with `min_crowd` crowd regions or more, and one without any where by that share at least
`min_expected` would be.
Source: COCO's iscrowd; conversions that write iscrowd 0 for all.
"""

from collections.abc import Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    boxes = {split: sum(data.boxes[split].values()) for split in data.splits}
    crowds = {split: sum(data.crowds[split].values()) for split in data.splits}
    marked = {split: n for split, n in crowds.items() if n >= limits["min_crowd"]}
    facts = []
    for split in (split for split, n in crowds.items() if n == 0):
        for other, n in marked.items():
            expected = n / boxes[other] * boxes[split]
            if expected >= limits["min_expected"]:
                observed = (
                    f"{n} of {boxes[other]} boxes of {other} are crowd regions, none of {boxes[split]} of {split};"
                    f" about {expected:.0f} would be"
                )
                facts.append(Fact(split, observed, count=n, share=other))
    return facts


RULE = SummaryRule(
    code="crowd-share",
    family="pattern",
    severity=WARNING,
    scope="split",
    problem="crowd regions are marked in another split only",
    expected="crowd regions marked alike in all splits",
    fix="mark crowd regions in this split too, or in none",
    doc=__doc__,
    thresholds=(
        Threshold("min_expected", 10, "boxes", 5, 1e9, "crowd regions by the other split's share"),
        Threshold("min_crowd", 10, "boxes", 2, 1e9, "crowd regions from which a split is said to mark them"),
    ),
    check=_check,
)

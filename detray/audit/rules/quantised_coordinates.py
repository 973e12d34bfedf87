"""Boxes lie on a coarse grid.

Failure: corners were rounded, by a tool, a heat map's stride or a conversion, so every box is off by up to half a
step: small objects lose the IoU that counts, and the model learns the grid.
Number: the largest step k (of 4, 5, 8, 10, 16, 20, 32, 40, 80, 160 px) that divides x, y, width and height of at
least `min_share` of the boxes of a split, class or annotator; chance gives 1/k^4. From `min_boxes` boxes on.
Source: the step of feature maps is 4 to 32 px; annotation tools snap to grids.
"""

from collections.abc import Sequence

from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.statistics import Histogram, pooled
from detray.audit.summary import Summary

STEPS = (160, 80, 40, 32, 20, 16, 10, 8, 5, 4)


def step_of(histogram: Histogram, limits: Limits) -> tuple[int, float, int] | None:
    """The largest step that enough boxes keep, their share, and how many boxes there are."""
    keys, n = histogram
    total = int(n.sum())
    if total < limits["min_boxes"]:
        return None
    for step in STEPS:
        share = float(n[keys % step == 0].sum() / total)
        if share >= limits["min_share"]:
            return step, share, total
    return None


def check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split in data.splits:
        tally = data.tallies[split]
        of_class = {key: tally.histogram("grid", key) for key in data.classes[split]}
        whole = step_of(pooled(list(of_class.values())), limits)
        if whole is not None:
            facts.append(_fact(split, *whole))
            continue
        for key, histogram in of_class.items():
            if (found := step_of(histogram, limits)) is not None:
                facts.append(_fact(split, *found, category_id=key, category_name=data.classes[split][key]))
        for name in data.annotators(split):
            if (found := step_of(tally.histogram(f"grid@{name}"), limits)) is not None:
                facts.append(_fact(split, *found, annotator=name))
    return facts


def _fact(
    split: str,
    step: int,
    share: float,
    total: int,
    *,
    category_id: int | None = None,
    category_name: str | None = None,
    annotator: str | None = None,
) -> Fact:
    who = f" of {annotator}" if annotator else ""
    return Fact(
        split,
        f"{share:.0%} of {total} boxes{who} on multiples of {step} px",
        category_id=category_id,
        category_name=category_name,
        count=round(share * total),
        annotator=annotator,
    )


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
    check=check,
)

"""A listed class has no box in any split.

Failure: it cannot be learned and has no AP; it stays an output of the model that can only be wrong, and mean AP is
quietly taken over fewer classes.
Number: boxes of the class over all splits, 0.
Source: COCO's evaluation leaves such classes out of the mean (pycocotools gives -1); ten of the eighty classes of
the 100-image COCO sample are absent.
"""

from collections.abc import Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    only = data.splits[0] if len(data.splits) == 1 else None
    names = {category_id: name for _, category_id, name in data.each_class()}
    return [
        Fact(only, "0 boxes", category_id=category_id, category_name=name, count=0)
        for category_id, name in sorted(names.items())
        if not any(category_id in boxes for boxes in data.boxes.values())
    ]


RULE = SummaryRule(
    code="absent-class",
    family="class",
    severity=WARNING,
    scope="class",
    problem="the class has no box",
    expected="boxes of every listed class",
    fix="add examples, or take the class out of the list",
    doc=__doc__,
    check=_check,
)

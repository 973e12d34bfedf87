"""Every box of a class is a crowd region.

Failure: crowd regions are ignored in evaluation and left out of training targets, so the class has no AP and is
never learned, though it seems to have boxes.
Number: boxes of the class in the split, all of them with iscrowd.
Source: pycocotools/cocoeval.py ignores ground truth with iscrowd; trainers filter it.
"""

from collections.abc import Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, category_id, name in data.each_class():
        n = data.boxes[split].get(category_id, 0)
        if n and data.crowds[split].get(category_id, 0) == n:
            facts.append(Fact(split, f"{n} crowd regions", category_id=category_id, category_name=name, count=n))
    return facts


RULE = SummaryRule(
    code="crowd-only-class",
    family="class",
    severity=WARNING,
    scope="class",
    problem="the class has crowd regions only",
    expected="boxes of single objects",
    fix="draw single objects, or correct iscrowd",
    doc=__doc__,
    check=_check,
)

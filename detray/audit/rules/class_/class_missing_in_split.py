"""A class has boxes in one split and none in another.

Failure: missing in training, it cannot be learned; missing in validation, nobody sees how well it is.
Number: boxes of the class in the split, 0, and in all splits, above 0.
Source: scikit-learn's stratified splitting exists for this; pycocotools gives -1 where a split has none.
"""

from collections.abc import Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    names = {category_id: name for _, category_id, name in data.each_class()}
    facts = []
    for category_id, name in sorted(names.items()):
        holders = [split for split in data.splits if category_id in data.boxes[split]]
        facts += [
            Fact(
                split,
                f"0 boxes here, {sum(data.boxes[holder][category_id] for holder in holders)} in {', '.join(holders)}",
                category_id=category_id,
                category_name=name,
                count=0,
            )
            for split in data.splits
            if holders and split not in holders
        ]
    return facts


RULE = SummaryRule(
    code="class-missing-in-split",
    family="class",
    severity=WARNING,
    scope="class",
    problem="the class has no box in this split",
    expected="boxes of the class in every split",
    fix="split again with the classes in proportion",
    doc=__doc__,
    check=_check,
)

"""A class has far fewer boxes than the most frequent one.

Failure: the loss is summed over boxes, so the frequent classes decide the weights, and the rare class's scores are
depressed below those of the others.
Number: boxes of the split's most frequent class over those of this class, at least `min_ratio`. Crowds count.
Source: imbalance ratio as in Oksuz et al., "Imbalance Problems in Object Detection", TPAMI 2020, section 4.
"""

from collections.abc import Sequence

from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split in data.splits:
        boxes = {key: n for key, n in data.boxes[split].items() if key in data.classes[split]}
        if not boxes:
            continue
        most = min(boxes, key=lambda key: (-boxes[key], key))
        for category_id, n in boxes.items():
            if boxes[most] >= limits["min_ratio"] * n:
                name, other = data.classes[split][category_id], data.classes[split][most]
                observed = f"{n} boxes, {other} has {boxes[most]}: 1 to {boxes[most] / n:.1f}"
                facts.append(
                    Fact(
                        split, observed, category_id=category_id, category_name=name, other_category_name=other, count=n
                    )
                )
    return facts


RULE = SummaryRule(
    code="imbalance",
    family="class",
    severity=SUSPECT,
    scope="class",
    problem="the class is far rarer than the most frequent one",
    fix="weight the class, and oversample its images where it is in few: class_stats.config_fragment has both",
    doc=__doc__,
    thresholds=(Threshold("min_ratio", 10, "times", 1, 1e9, "boxes of the most frequent class over this one's"),),
    check=_check,
)

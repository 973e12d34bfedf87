"""The lists of classes of two splits name the same classes in another order.

Failure: trainers that go by the place in the list (exporters to YOLO, mmdetection) teach a class under one number and
read it under another: classes are evaluated as each other, though every id and name is right.
Number: names in the order of each split's list against the training split's, or else the first one's; lists of the same
names and ids.
Source: mmdetection's CocoDataset numbers classes by their place in the list (cat2label).
"""

from collections.abc import Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule
from detray.audit.summary import Summary

MAX_NAMED = 3


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    orders = {
        split: list(dict.fromkeys(_listed(data, split)))
        for split in sorted(data.splits, key=lambda s: (s != "train", s))
    }
    orders = {split: order for split, order in orders.items() if order}
    if not orders:
        return []
    first, *others = orders
    facts = []
    for split in others:
        own, there = orders[split], orders[first]
        if own == there or sorted(own) != sorted(there):
            continue
        moved = [
            f"{here[1]} is number {place} here and {there.index(here) + 1} there"
            for place, here in enumerate(own, 1)
            if there[place - 1] != here
        ]
        more = f" and {len(moved) - MAX_NAMED} more" if len(moved) > MAX_NAMED else ""
        said = f"against split {first}: {', '.join(moved[:MAX_NAMED])}{more}"
        facts.append(Fact(split, said, count=len(moved), share=first))
    return facts


def _listed(data: Summary, split: str) -> list[tuple[int, str]]:
    """Ids and names in the order of the split's list; none where only boxes name classes."""
    rows = data.categories_of[split].to_pylist() if data.has_list(split) else []
    return [
        (row["category_id"], row["category_name"])
        for row in rows
        if row["source"] == "annotations" and row["is_listed"] is not False and row["category_name"]
    ]


RULE = SummaryRule(
    code="category-order",
    family="identity",
    severity=WARNING,
    scope="split",
    problem="its list of classes is in another order",
    expected="the same order in every split",
    fix="write the lists of all splits in one order, or make sure that the trainer goes by ids and not by places",
    doc=__doc__,
    check=_check,
)

"""Two classes have the same name, or one id has two names.

Failure: lookups by name or by id find one of the two, so the boxes of a class are divided or renamed at random, and
reports show two rows that cannot be told apart.
Number: rows of a split's category list that share a name (with different ids) or an id (with different names).
Each but the first is found, with the first.
Source: merged category lists; pycocotools keeps the last entry of an id (coco.py, createIndex).
"""

from collections.abc import Sequence

from detray import tables
from detray.audit.rule import WARNING, Fact, Limits, SummaryRule
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split in data.splits:
        listed = tables.own_classes(data.categories_of[split])
        pairs = sorted(
            {(row["category_id"], row["category_name"]) for row in listed.to_pylist() if row["category_name"]}
        )
        by_id: dict[int, tuple[int, str]] = {}
        by_name: dict[str, tuple[int, str]] = {}
        for category_id, name in pairs:
            pair = category_id, name
            firsts = {by_id.setdefault(category_id, pair), by_name.setdefault(name, pair)} - {pair}
            for other_id, other in sorted(firsts):
                facts.append(
                    Fact(
                        split,
                        f"id {other_id} is {other} too",
                        category_id=category_id,
                        category_name=name,
                        other_category_name=other,
                        share=str(other_id),
                    )
                )
    return facts


RULE = SummaryRule(
    code="duplicate-category-name",
    family="identity",
    severity=WARNING,
    scope="class",
    problem="its name or id is that of another class",
    expected="one name for each id, and one id for each name",
    fix="merge the two classes, or name them apart",
    doc=__doc__,
    check=_check,
)

"""The entry of a class lacks its name, or has a value of the wrong type there.

Failure: the class has no name to be told by: tables show its number, and by name it is joined with nothing.
Number: one finding for each such field of each class, as the reader met it.
Source: COCO's data format (https://cocodataset.org/#format-data): a category has an id and a name.
"""

from collections.abc import Sequence

from detray.audit.rule import ERROR, Fact, Limits, SummaryRule
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    return [
        Fact(
            row["split"],
            f"{defect['field']}: {defect['observed'] or 'missing'}",
            category_id=row["category_id"],
            category_name=row["category_name"],
            share=f"{defect['rule']} {defect['field']}",
        )
        for row in data.categories.select(["split", "category_id", "category_name", "defects"]).to_pylist()
        for defect in row["defects"] or ()
    ]


RULE = SummaryRule(
    code="malformed-category",
    family="schema",
    severity=ERROR,
    scope="class",
    problem="its entry among the categories is malformed",
    expected="a number as id and a text as name",
    fix="write the name into the categories, or state a label map",
    doc=__doc__,
    check=_check,
)

"""The class ids of a split have gaps.

Failure: tools that take an id for an index make outputs for classes that are not there, or read past the end; ids
and places get mixed up, which shifts every class.
Number: ids listed against the span from the lowest to the highest. Where only boxes name classes there is no list,
and a class without boxes is no gap.
Source: COCO numbers its 80 classes from 1 to 90; most trainers map them to 80 outputs and back.
"""

from collections.abc import Sequence

from detray.audit.rule import INFO, Fact, Limits, SummaryRule
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    return [
        Fact(split, f"{len(names)} ids from {min(names)} to {max(names)}", count=len(names))
        for split, names in data.listed.items()
        if names and max(names) - min(names) + 1 > len(names)
    ]


RULE = SummaryRule(
    code="category-id-gaps",
    family="identity",
    severity=INFO,
    scope="split",
    problem="the class ids have gaps",
    expected="consecutive ids",
    fix="nothing, if the trainer maps ids to places; else number the classes anew",
    doc=__doc__,
    check=_check,
)

"""The label map does not say one name for each class.

Failure: a parser keeps the last of several ids or names of an item and drops the others in silence, so their classes
get no AP. In a public bug report one item held three names and ids, and two of three classes had none.
Number: one finding for each problem that the reader met, with its line.
Source: TF Object Detection API's string_int_label_map.proto: one item a class.
"""

from collections.abc import Sequence

from detray.audit.rule import ERROR, Fact, Limits, SummaryRule
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    if data.label_map is None:
        return []
    facts = []
    for number, (line, text) in enumerate(data.label_map.problems):
        place = data.label_map.path if line is None else f"{data.label_map.path}, line {line}"
        facts.append(Fact(None, f"{place}: {text}", share=str(number)))
    return facts


RULE = SummaryRule(
    code="label-map-malformed",
    family="identity",
    severity=ERROR,
    scope="dataset",
    problem="the label map is malformed",
    expected="one id and one name for each class",
    fix="write one item for each class",
    doc=__doc__,
    check=_check,
)

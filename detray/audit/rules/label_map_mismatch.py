"""Names and ids of classes differ between splits, or between the data and the label map.

Failure: the model answers with numbers, and the label map turns them into classes: where the two disagree, classes
are evaluated as each other and have an AP of nil though the model is right. A shift by one (a background class
counted or not) is the usual case.
Number: the same name (without case, spaces and punctuation) under different ids; the mapping from one list to the
other is named, as a shift where it is one. Without a moved name: names under one id that differ, and classes that
the other list lacks.
Source: TF Object Detection API's label maps start at 1, YOLO's names at 0.
"""

from collections.abc import Mapping, Sequence

from detray.audit.rule import ERROR, FATAL, WARNING, Fact, Limits, SummaryRule
from detray.audit.rules.names import plain
from detray.audit.summary import Summary

Names = Mapping[int, str]
MAX_NAMED = 5


def compare(own: Names, other: Names) -> tuple[str, int] | None:
    """How ``other`` differs from ``own`` in words, and how severe that is; None if it does not."""
    ids = {plain(name): category_id for category_id, name in other.items()}
    moved = {
        category_id: ids[plain(name)]
        for category_id, name in own.items()
        if plain(name) in ids and ids[plain(name)] != category_id and plain(other.get(category_id, "")) != plain(name)
    }
    if moved:
        shifts = {there - here for here, there in moved.items()}
        if len(shifts) == 1 and len(moved) > 1:
            return f"{len(moved)} classes are shifted by {shifts.pop():+d}", FATAL
        pairs = [f"{own[here]} is {here} here and {there} there" for here, there in sorted(moved.items())]
        return _some(pairs), FATAL
    renamed = [
        f"id {key} is {name} here and {other[key]} there"
        for key, name in sorted(own.items())
        if key in other and plain(other[key]) != plain(name)
    ]
    if renamed:
        return _some(renamed), WARNING
    lacking = [name for key, name in sorted(own.items()) if key not in other]
    return (f"it lacks {_some(lacking)}", ERROR) if lacking else None


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + more


def check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    first = next((split for split in ("train", *data.splits) if data.classes.get(split)), None)
    for split in data.splits:
        lists: list[tuple[str, Names]] = []
        if data.label_map is not None:
            lists.append(("the label map", data.label_map.names))
        if first is not None and split != first:
            lists.append((f"split {first}", data.classes[first]))
        for name, other in lists:
            found = compare(data.classes[split], other) if data.classes[split] and other else None
            if found is not None:
                observed, severity = found
                explained = ("unknown-category",) if severity == FATAL else ()
                facts.append(
                    Fact(split, f"against {name}: {observed}", severity=severity, share=name, explains=explained)
                )
    return facts


RULE = SummaryRule(
    code="label-map-mismatch",
    family="identity",
    severity=FATAL,
    scope="split",
    problem="its classes are not those of another list",
    expected="the same name under the same id everywhere",
    fix="write one list of classes and use it for every split and for the label map",
    doc=__doc__,
    check=check,
)

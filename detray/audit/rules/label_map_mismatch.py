"""Names and ids of classes differ between splits, or between the data and the label map.

Failure: the model answers with numbers, and the label map turns them into classes: where the two disagree, classes
are evaluated as each other and have an AP of nil though the model is right. A shift by one (a background class
counted or not) is the usual case.
Number: fatal where the same name (without case, spaces and punctuation) stands under different ids; the mapping from
one list to the other is named, as a shift where it is one. Without a moved name: a warning where names under one id
differ; an error where the other list lacks a class. And whatever the names say, the boxes of the two splits are
compared (size, aspect, place, number in an image, share of the images, and the classes beside them; classes in at least
30 images): a mapping of ids, tried as a shift and as the best assignment, under which they look alike (mean distance at
most 0.15, and at most half of what it is as they stand) is a warning. Its confidence is one less the chance that as
many of these measures would prefer it, by the sign test, and at least 0.99.
Source: TF Object Detection API's label maps start at 1, YOLO's names at 0; Kuhn, "The Hungarian method", 1955.
"""

from collections.abc import Mapping, Sequence

from detray.audit.resemblance import remapped
from detray.audit.rule import ERROR, FATAL, WARNING, Fact, Limits, SummaryRule
from detray.audit.rules.names import plain
from detray.audit.summary import Summary

Names = Mapping[int, str]
MAX_NAMED = 5


def moved(own: Names, other: Names) -> dict[int, int]:
    """Ids in ``own`` whose name stands under another id in ``other``, and that id."""
    ids = {plain(name): category_id for category_id, name in other.items()}
    return {
        category_id: ids[plain(name)]
        for category_id, name in own.items()
        if plain(name) in ids and ids[plain(name)] != category_id and plain(other.get(category_id, "")) != plain(name)
    }


def compare(own: Names, other: Names) -> tuple[str, int] | None:
    """How ``other`` differs from ``own`` in words, and how severe that is; None if it does not."""
    elsewhere = moved(own, other)
    if elsewhere:
        return _in_words(elsewhere, own), FATAL
    renamed = [
        f"id {key} is {name} here and {other[key]} there"
        for key, name in sorted(own.items())
        if key in other and plain(other[key]) != plain(name)
    ]
    if renamed:
        return _some(renamed), WARNING
    lacking = [name for key, name in sorted(own.items()) if key not in other]
    return (f"it lacks {_some(lacking)}", ERROR) if lacking else None


def _in_words(elsewhere: Mapping[int, int], own: Names) -> str:
    shifts = {there - here for here, there in elsewhere.items()}
    if len(shifts) == 1 and len(elsewhere) > 1:
        return f"{len(elsewhere)} classes are shifted by {shifts.pop():+d}"
    return _some([f"{own[here]} is {here} here and {there} there" for here, there in sorted(elsewhere.items())])


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + more


def check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    first = next((split for split in ("train", *data.splits) if data.classes.get(split)), None)
    for split in data.splits:
        own = data.classes[split]
        if data.label_map is not None:
            facts += _by_names(split, "the label map", own, data.label_map.names)
        if first is not None and split != first and own:
            looks = _by_looks(data, split, first)
            facts += _by_names(split, f"split {first}", own, data.classes[first], looks) or (
                [looks] if looks is not None else []
            )
    return facts


def _by_names(split: str, name: str, own: Names, other: Names, looks: Fact | None = None) -> list[Fact]:
    found = compare(own, other) if own and other else None
    if found is None:
        return []
    observed, severity = found
    explained = ("unknown-category",) if severity == FATAL else ()
    text = f"against {name}: {observed}" + (f"; {looks.observed}" if looks is not None else "")
    return [Fact(split, text, severity=severity, share=name, explains=explained)]


def _by_looks(data: Summary, split: str, other: str) -> Fact | None:
    """Boxes of a split that look like those of other ids."""
    found = remapped(data, split, other)
    if found is None:
        return None
    text = f"by its boxes, against split {other}: {_in_words(found.ids, data.classes[split])}"
    return Fact(split, text, confidence=found.confidence, severity=WARNING, share="boxes", count=len(found.ids))


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

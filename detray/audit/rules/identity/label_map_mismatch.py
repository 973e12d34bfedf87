"""Names and ids of classes differ between splits, between the files of one, or between the data and the label map.

Failure: the model answers with numbers, and the label map turns them into classes: where the two disagree, classes
are evaluated as each other and have an AP of nil though the model is right. A shift by one (a background class
counted or not) is the usual case.
Number: fatal where the same name (without case, spaces and punctuation) stands under different ids; the mapping from
one list to the other is named, as a shift where it is one. Without a moved name: a warning where names under one id
differ; fatal where boxes carry ids that their own list, or where there is none the label map, lacks, and has all of
when each is shifted; an error where the other list lacks a class (what boxes name, where no file lists classes, is no
list). Of files of one split that contradict each other, each is compared with the one that most files and the label map
agree with. And whatever the names say, the boxes of the two splits are compared (size, aspect, place, number in an
image, share of the images, and the classes beside them; classes in at least 30 images): a mapping of ids, tried as a
shift and as the best assignment, under which they look alike (mean distance at most 0.15, and at most half of what it
is as they stand) is a warning. Where splits look different, so are the boxes of each annotator and source file with
another split's. Its confidence is one less the chance that these measures would prefer it so much, by Wilcoxon's
signed-rank test, times the number of annotators or files, and at least 0.99.
Source: TF Object Detection API's label maps start at 1, YOLO's names at 0; Kuhn, "The Hungarian method", 1955.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from detray.audit.groups import annotators, files
from detray.audit.resemblance import MIN_CONFIDENCE, MIN_IMAGES, differ, measure_groups, of_group, of_split, remapped
from detray.audit.rule import ERROR, FATAL, WARNING, Effect, Fact, HypothesisRule, Limits, Suspects
from detray.audit.rules.drift import reference
from detray.audit.rules.identity.own_list import shifted_against_list, shifted_against_map, shifted_against_split
from detray.audit.summary import Summary
from detray.meaning.names import plain

Names = Mapping[int, str | None]
"""Name by id; None for a class that has none."""

MAX_NAMED = 5


def moved(own: Names, other: Names) -> dict[int, int]:
    """Ids in ``own`` whose name stands under another id in ``other``, and that id."""
    ids = {plain(name): category_id for category_id, name in other.items() if name is not None}
    return {
        category_id: ids[plain(name)]
        for category_id, name in own.items()
        if name is not None
        and ids.get(plain(name), category_id) != category_id
        and plain(other.get(category_id) or "") != plain(name)
    }


def _renamed(own: Names, other: Names) -> list[str]:
    """Ids that have another name in ``other``, in words."""
    pairs = [(key, name, other.get(key)) for key, name in sorted(own.items())]
    return [
        f"id {key} is {name} here and {there} there"
        for key, name, there in pairs
        if name is not None and there is not None and plain(name) != plain(there)
    ]


def _in_words(elsewhere: Mapping[int, int], own: Names) -> str:
    shifts = {there - here for here, there in elsewhere.items()}
    if len(shifts) == 1 and len(elsewhere) > 1:
        return f"{len(elsewhere)} classes are shifted by {shifts.pop():+d}"
    return _some(
        [
            f"{own.get(here) or f'class {here}'} is {here} here and {there} there"
            for here, there in sorted(elsewhere.items())
        ]
    )


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + more


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    own: dict[str, Names] = {}
    facts: list[Fact] = []
    for split in data.splits:
        of_files, own[split] = _by_files(data, split)
        facts += of_files
    first = next((split for split in ("train", *data.splits) if own.get(split)), None)
    for split in data.splits:
        of_groups = [] if any(fact.split == split for fact in facts) else _by_looks_of_groups(data, split)
        facts += [*of_groups, *shifted_against_list(data, split)]
        if data.label_map is not None:
            names = data.label_map.names
            # a name that boxes give and the map spells in another way got its id from the reader
            spelt = own[split] if data.has_list(split) else _spelt_alike(own[split], names)
            facts += _by_names(data, split, "the label map", spelt, names, is_list=data.has_list(split))
            facts += shifted_against_map(data, split)
        if first is not None and split != first and own[split]:
            are_lists = data.has_list(split) and data.has_list(first)
            shifts = shifted_against_split(data, split, first)
            looks = None if of_groups or shifts else _by_looks(data, split, first)
            facts += shifts
            facts += _by_names(data, split, f"split {first}", own[split], own[first], looks, is_list=are_lists) or (
                [looks] if looks is not None else []
            )
    return facts


def suspects(data: Summary, limits: Limits) -> Suspects:
    """The annotators and source files of splits whose boxes look different from another's."""
    found = {}
    for split in data.splits:
        several = [*annotators(data, split), *files(data, split)]
        groups = [group for group in several if group.n_images(data) >= MIN_IMAGES]
        other = _compared_with(data, split)
        if groups and other is not None and differ(of_split(data, split), of_split(data, other)):
            found[split] = groups
    return found


def _compared_with(data: Summary, split: str) -> str | None:
    """The split that a split's annotators and files are compared with: the reference, and for that the largest."""
    others = [one for one in data.splits if one != split]
    first = reference(data)
    return first if first in others else max(others, key=lambda one: (data.n_images(one), one), default=None)


def _by_looks_of_groups(data: Summary, split: str) -> list[Fact]:
    """Some annotators, or files, of a split whose boxes look like those of other ids."""
    other = _compared_with(data, split)
    for groups in (annotators(data, split), files(data, split)):
        judged = [group for group in groups if split in data.evidence and len(of_group(data, group).known) > 1]
        if other is None or not judged:
            continue
        found = {group: remapped(of_group(data, group), of_split(data, other)) for group in judged}
        facts = [
            Fact(
                split,
                f"by its boxes, those{group.whose} against split {other}: {_in_words(one.ids, data.stated[split])}",
                confidence=confidence,
                severity=WARNING,
                share="boxes",
                count=len(one.ids),
                annotator=group.annotator,
                source_file=group.source_file,
                effects=_effects(data, split, one.ids),
            )
            for group, one in found.items()
            if one is not None and (confidence := 1 - len(judged) * (1 - one.confidence)) >= MIN_CONFIDENCE
        ]
        if 0 < len(facts) < len(judged):
            return facts
    return []


def _spelt_alike(own: Names, other: Names) -> Names:
    exact = set(other.values())
    alike = {plain(name) for name in exact if name is not None}
    return {key: name for key, name in own.items() if name in exact or plain(name or "") not in alike}


def _by_names(
    data: Summary, split: str, name: str, own: Names, other: Names, looks: Fact | None = None, *, is_list: bool
) -> list[Fact]:
    """How the list ``other``, called ``name``, differs from a split's; what it lacks only where both are lists."""
    if not own or not other:
        return []
    elsewhere, renamed = moved(own, other), _renamed(own, other)
    lacking = [own[key] or f"class {key}" for key in sorted(own) if key not in other] if is_list else []
    more: dict[str, Any] = {}
    if elsewhere:
        observed, severity = f"against {name}: {_in_words(elsewhere, own)}", FATAL
        more = {"explains": ("unknown-category",), "effects": _effects(data, split, elsewhere)}
    elif renamed:
        observed, severity = f"against {name}: {_some(renamed)}", WARNING
    elif lacking:
        observed, severity = f"{name} lacks {_some(lacking)}", ERROR
    else:
        return []
    observed += f"; {looks.observed}" if looks is not None else ""
    return [Fact(split, observed, severity=severity, share=name, **more)]


def _effects(data: Summary, split: str, elsewhere: Mapping[int, int]) -> tuple[Effect, ...]:
    """What else is found on classes that stand under each other's ids."""
    ids = frozenset([*elsewhere, *elsewhere.values()])
    drifting = None if split == reference(data) else split  # all are compared with that one
    return (
        *(Effect(rule, ids, split) for rule in ("duplicate-category-name", "category-id-zero")),
        Effect("class-missing-in-split", ids),
        Effect("split-drift", ids, drifting),
    )


def _by_files(data: Summary, split: str) -> tuple[list[Fact], Names]:
    """What files of a split say of its classes that other files contradict, and the split's list without that."""
    rows = data.categories_of[split].to_pylist()
    told: dict[str, dict[int, str]] = defaultdict(dict)
    for row in rows:
        if _is_of_list(row) and row["source_file"] and row["category_name"]:
            told[row["source_file"]].setdefault(row["category_id"], row["category_name"])
    if len(told) < 2:
        return [], data.stated[split]
    votes = _votes(data)
    right = max(sorted(told), key=lambda file: sum(votes[key, plain(name)] for key, name in told[file].items()))
    facts, wrong = [], {}
    for file, own in sorted(told.items()):
        elsewhere, renamed = moved(own, told[right]), _renamed(own, told[right])
        if file == right or not (elsewhere or renamed):
            continue
        wrong[file] = {*elsewhere, *(key for key in own if plain(told[right].get(key, own[key])) != plain(own[key]))}
        text = _in_words(elsewhere, own) if elsewhere else _some(renamed)
        facts.append(
            Fact(
                split,
                f"of {PurePath(file).name}, against {PurePath(right).name}: {text}",
                severity=FATAL if elsewhere else WARNING,
                share=file,
                source_file=file,
                count=len(elsewhere or renamed),
                explains=("unknown-category",) if elsewhere else (),
                effects=_effects(data, split, elsewhere),
            )
        )
    kept = [row for row in rows if row["category_id"] not in wrong.get(row["source_file"], ())]
    return facts, {row["category_id"]: row["category_name"] for row in reversed(kept) if _is_of_list(row)}


def _is_of_list(row: Mapping[str, object]) -> bool:
    """Whether an annotation file lists the class, or numbers it in its boxes."""
    return row["source"] == "annotations" and (row["is_listed"] is not False or row["source_file"] is not None)


def _votes(data: Summary) -> Counter[tuple[int, str]]:
    """How many lists of classes, of files and the label map, give each id each name."""
    found = Counter(
        (row["category_id"], plain(row["category_name"]))
        for rows in data.categories_of.values()
        for row in rows.to_pylist()
        if _is_of_list(row) and row["category_name"]
    )
    found.update((key, plain(name)) for key, name in (data.label_map.names if data.label_map else {}).items())
    return found


def _by_looks(data: Summary, split: str, other: str) -> Fact | None:
    """Boxes of a split that look like those of other ids."""
    found = remapped(of_split(data, split), of_split(data, other))
    if found is None:
        return None
    return Fact(
        split,
        f"by its boxes, against split {other}: {_in_words(found.ids, data.stated[split])}",
        confidence=found.confidence,
        severity=WARNING,
        share="boxes",
        count=len(found.ids),
        effects=_effects(data, split, found.ids),
    )


RULE = HypothesisRule(
    code="label-map-mismatch",
    family="identity",
    severity=FATAL,
    scope="split",
    problem="its classes are not those of another list",
    expected="the same name under the same id everywhere",
    fix="write one list of classes and use it for every split and for the label map",
    doc=__doc__,
    suspects=suspects,
    gather=measure_groups,
    check=_check,
)

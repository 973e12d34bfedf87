"""Settling what class ids mean: by names where there are any, else by a list of classes, else as they stand.

A list without ids may count from 0 or from 1, and ids may coincide by chance with those of other classes. What the
detections hit tells, and a person is told.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from detray.errors import DetrayError, UsageError
from detray.meaning.hits import Hits
from detray.meaning.names import match_names, say_nothing
from detray.meaning.reading import AS_THEY_STAND, Listed, Reading, by_list

MIN_HITS = 3
"""Boxes that a reading must hit to be chosen for it: fewer are chance."""
SHOWN = 5

_ELSEWHERE = 1_000_000


@dataclass(frozen=True)
class Stated:
    """What is stated of class ids.

    Attributes:
        mapping: ids of the data by other ids, as ``predict.category_map`` states them.
        category_map: the list of classes that it names instead.
        label_map: that of the data set (``dataset.label_map``).
        class_base: the id of the first class, where a person states it.
    """

    mapping: Mapping[int, int] = field(default_factory=dict)
    category_map: Listed | None = None
    label_map: Listed | None = None
    class_base: int | None = None


class Meaning(msgspec.Struct, frozen=True):
    """What class ids mean: ``ids`` of the data's by theirs; ``foreign``: names of those that the data lacks;
    ``names``: ids of the data's by a name beside an id, which counts for more than the id. Other ids mean themselves,
    or nothing where it ``is_whole``.
    """

    ids: dict[int, int] = {}
    foreign: dict[int, str] = {}
    names: dict[str, int] = {}
    is_whole: bool = False
    notes: tuple[str, ...] = ()

    def labels(self, own: Mapping[int, str]) -> dict[int, tuple[int, str]]:
        """By id the data's id and name. Foreign classes keep their ids where the data has no such id."""
        known = {k: (elsewhere(k, own), str(k)) if self.is_whole else (k, name) for k, name in own.items()}
        known |= {k: (elsewhere(k, own), name) for k, name in self.foreign.items()}
        return known | {k: (meant, own.get(meant, str(meant))) for k, meant in self.ids.items()}

    @property
    def says(self) -> bool:
        """Whether any id means another than itself."""
        return bool(self.foreign or self.names or any(k != meant for k, meant in self.ids.items()))


def facts_of(meanings: Mapping[str, Meaning]) -> dict[str, Any]:
    """For the manifest: of the splits where ids do not mean themselves, what they and names mean."""
    found = {
        split: {
            "ids": {str(k): meant for k, meant in meaning.ids.items()},
            "names": meaning.names,
            "lacking": list(meaning.foreign.values()),
        }
        for split, meaning in meanings.items()
        if meaning.says
    }
    return {"class_ids": found} if found else {}


def elsewhere(number: int, taken: Collection[int]) -> int:
    """An id for a class that the data lacks: its own, unless it is one of the data's (``taken``)."""
    return number if number not in taken else number + _ELSEWHERE


Ask = Callable[[], Hits]
"""Has detections compared with the boxes of some images; only called where that would tell something."""


def settle_model(
    model: str, classes: Mapping[int, str], own: Mapping[int, str], stated: Stated, ask: Ask, counts_from: int | None
) -> Meaning:
    """What the class ids of a model mean.

    Args:
        model: its path, for sentences.
        classes: its own names by id; empty where it has none.
        own: the data's classes by id.
        stated: what a person states.
        ask: compares detections in a few pictures with their boxes.
        counts_from: the id of its first class, as models of its format have it.

    Raises:
        UsageError: its classes are others than the data's, or only a person can tell what its ids mean.
    """
    if stated.category_map is None and classes and _tell(classes, own):
        found = _by_names(f"{model}: the model's", _called(classes, stated.label_map), own, stated.mapping)
        ids = found.ids | dict(stated.mapping)
        return msgspec.structs.replace(found, ids=ids, notes=(*_lacking(classes, ids, own), *found.notes))
    listed = stated.category_map or stated.label_map
    base = counts_from if stated.class_base is None else stated.class_base
    if listed is not None:
        readings = _known(listed, _by_list(listed, own, base), own)
    else:
        readings = [AS_THEY_STAND]
        if base == 0 and 0 not in own:
            readings.append(Reading("as the data's less 1", {k - 1: k for k in own}, is_whole=True))
    if stated.class_base is not None:
        readings = readings[:1]
    hits = ask()
    is_open = listed is not None and not listed.is_numbered and base is None
    chosen, notes = _chosen(readings, hits, model, listed, is_open=is_open)
    if listed is None and not stated.mapping:
        hit = f": so {hits.of(chosen.of):,} of {hits.boxes:,} boxes are hit by a detection of their class"
        seen = hit if hits.boxes and not notes else ""
        notes.append(f"{model} does not name its classes, their ids are read {chosen.words}{seen}")
    notes += _unlike(hits, chosen, stated.mapping, own)
    return _meaning(chosen, stated.mapping, notes)


def settle_file(path: str, names: Collection[str], own: Mapping[int, str], stated: Stated, ask: Ask) -> Meaning:
    """What the class ids of a file of detections mean, and the names that its rows carry.

    Where there are no names and nothing is stated, ids mean what they say: diagnosis tells where they do not.

    Args:
        path: of the file, for sentences.
        names: that rows carry.
        own, stated, ask: as in `settle_model`.

    Raises:
        UsageError: its classes are others than the data's, or only a person can tell what its ids mean.
    """
    numbered, by_name = dict(enumerate(sorted(names))), Meaning()
    if numbered and stated.category_map is None and not stated.mapping and _tell(numbered, own):
        by_name = _by_names(f"{path}: its", _called(numbered, stated.label_map), own, {})
    listed, readings = _of_file(stated, own)
    chosen, notes = readings[0], list(by_name.notes)
    if len(readings) > 1:
        chosen, told = _chosen(readings, ask(), path, listed, is_open=stated.category_map is not None)
        notes += told
    if by_name.ids:
        notes.append(f"{path} names the classes of its detections, which are taken by these names")
    found = {numbered[k]: meant for k, meant in by_name.ids.items()}
    return msgspec.structs.replace(_meaning(chosen, stated.mapping, notes), names=found)


def _of_file(stated: Stated, own: Mapping[int, str]) -> tuple[Listed | None, list[Reading]]:
    """The list that class ids of a file may be read by, and how they may be.

    A label map of the data set that numbers its classes says nothing of a file: its ids are the data's, and where they
    are not diagnosis tells.
    """
    listed, base = stated.category_map, stated.class_base
    if listed is not None:
        readings = _known(listed, _by_list(listed, own, base), own)
        return listed, readings if base is None else readings[:1]
    listed = stated.label_map
    if listed is None or listed.is_numbered or not (of_list := _by_list(listed, own, base))[0].ids:
        return None, [AS_THEY_STAND]
    return listed, [AS_THEY_STAND, *of_list] if base is None else of_list[:1]


def _called(names: Mapping[int, str], label_map: Listed | None) -> dict[int, tuple[str, ...]]:
    """Names, each with what the label map calls that class besides: a machine id (/m/01g317) and words for it."""
    besides = {} if label_map is None else {name: names for names in label_map.names.values() for name in names}
    return {k: (name, *besides.get(name, ())) for k, name in names.items()}


def _tell(names: Mapping[int, str], own: Mapping[int, str]) -> bool:
    """Whether names say more than ids do; those that only number the classes do where the data's are the same."""
    if say_nothing(names) or (own and say_nothing(own)):
        return all(own.get(k) == name for k, name in names.items())
    return True


def _by_names(
    whose: str, theirs: Mapping[int, Sequence[str]], own: Mapping[int, str], mapping: Mapping[int, int]
) -> Meaning:
    """Ids by their names; refused where none of these is one of the data's."""
    found = match_names(theirs, own)
    if own and not found.ids and not mapping:
        raise UsageError(
            f"{whose} classes are {_some(found.foreign.values())}, and the data's {_some(own.values())}: none is the"
            " same, so equal ids would be chance; where they mean the same all the same, say so with"
            " predict.category_map ({its id: the data's id})"
        )
    foreign = {k: name for k, name in found.foreign.items() if k not in mapping}
    notes = [f"{whose} classes that the data lacks: {_some(foreign.values())}"] if foreign and own else []
    return Meaning(dict(found.ids), foreign, notes=tuple(notes))


def _lacking(classes: Mapping[int, str], ids: Mapping[int, int], own: Mapping[int, str]) -> list[str]:
    """The data's classes that a model lacks."""
    unknown = [name for k, name in own.items() if k not in ids.values()]
    counts = f"; it has {len(classes)} classes, the data {len(own)}" if len(classes) != len(own) else ""
    return [f"the model has no class {', '.join(unknown)}{counts}"] if unknown else []


def _by_list(listed: Listed, own: Mapping[int, str], base: int | None) -> list[Reading]:
    """How ids may be read by a list of classes, first as it counts where that is known."""
    if not listed.is_numbered:
        shifts = [0, -1] if base != 0 else [-1, 0]
    elif base == 0 and min(listed.names, default=0) == 1:
        shifts = [-1, 0]  # as the API's export to TFLite counts
    else:
        shifts = [0]
    return [by_list(listed, own, shift) for shift in shifts]


def _known(listed: Listed, readings: list[Reading], own: Mapping[int, str]) -> list[Reading]:
    """``readings``, of a list that names classes of the data."""
    if own and not readings[0].ids:
        raise DetrayError(f"{listed.source}: names no class of the data set, which has {_some(own.values())}")
    return readings


def _chosen(
    readings: Sequence[Reading], hits: Hits, subject: str, listed: Listed | None, *, is_open: bool
) -> tuple[Reading, list[str]]:
    """The reading under which most boxes are hit by a detection of their class, and that in a sentence.

    Where that tells nothing it is the first, unless the question ``is_open``.
    """
    if hits.boxes:
        used = hits.detections
        readings = [one for n, one in enumerate(readings) if not any(one.says_as(o, used) for o in readings[:n])]
    if len(readings) == 1:
        return readings[0], []
    settle = "set detector.io.class_base to the id of the first class, or predict.category_map to {its id: the data's}"
    if not hits.boxes and is_open and listed is not None:
        raise UsageError(
            f"{listed.source} names classes without ids, and without annotated boxes nothing tells whether {subject}"
            f" counts them from 0 or from 1; {settle}"
        )
    if not hits.boxes:
        return readings[0], [
            f"the class ids of {subject} are read {readings[0].words}, without boxes that could tell; {settle}"
        ]
    scores = [hits.of(reading.of) for reading in readings]
    ranked = sorted(zip(scores, readings, strict=True), key=lambda pair: -pair[0])
    told = "; ".join(f"{reading.words} {n:,}" for n, reading in ranked[1:])
    best, chosen = ranked[0]
    if best < MIN_HITS or best == ranked[1][0]:
        return readings[0], [
            f"NOTHING TELLS what the class ids of {subject} mean: of {hits.boxes:,} boxes {scores[0]:,} are hit by a"
            f" detection of their class {readings[0].words}, which is how they are read; {told}; {settle}"
        ]
    return chosen, [
        f"the class ids of {subject} are read {chosen.words}: so {best:,} of {hits.boxes:,} boxes are hit by a"
        f" detection of their class; {told}"
    ]


def _unlike(hits: Hits, chosen: Reading, mapping: Mapping[int, int], own: Mapping[int, str]) -> list[str]:
    """What speaks against a model without names being one of the data's classes."""

    def meant(number: int) -> int | None:
        return mapping.get(number, chosen.of(number))

    strange = [k for k in hits.detections if meant(k) not in own]
    notes = []
    if hits.boxes and not hits.of(meant):
        how = "though any class hits" if hits.any_class else "nor by one of another class"
        many = f" {hits.any_class:,} of them" if hits.any_class else ""
        notes.append(
            f"NO BOX of {hits.boxes:,} in a few pictures is hit by a detection of its class, {how}{many}: see that the"
            " model is one of these classes, and set predict.category_map ({its id: the data's id})"
        )
    if strange and own:
        told = "" if chosen.foreign or chosen.is_whole else "; is it a model of these classes?"
        notes.append(f"class ids of the model that mean none of the data's classes: {_some(map(str, strange))}{told}")
    return notes


def _meaning(reading: Reading, mapping: Mapping[int, int], notes: Sequence[str]) -> Meaning:
    foreign = {k: name for k, name in reading.foreign.items() if k not in mapping}
    return Meaning(dict(reading.ids) | dict(mapping), foreign, is_whole=reading.is_whole, notes=tuple(notes))


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more

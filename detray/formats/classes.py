"""The table of classes: those that annotations name, numbered where they have no numbers, and the label map's."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.formats.label_map import LabelMap
from detray.formats.values import Defects
from detray.tables import shift_onto

_CLEAR = 10
_MAX_CONTRADICTIONS = 1000


Pair = tuple[int, str]
"""Number and name of a class, as boxes carry them."""


def number_names(stated: Mapping[str, pa.Table], label_map: LabelMap | None) -> dict[str, dict[str, int]]:
    """By split: an id for each class name that any split states without one (``stated``: `chunk.CATEGORIES`).

    The one that most boxes of that name carry elsewhere in the split, else in all, else the label map's, else the
    next free ones in the order of the names: 1-based positions in the sorted names, where no class has a number.
    A number that the split's own boxes call otherwise is not taken.
    """
    own = {split: _by_name(_pairs(table)) for split, table in stated.items()}
    ids = label_map.ids if label_map else {}
    shared = ids | _by_name(sum((_pairs(table) for table in stated.values()), Counter()))
    lacking = {split: _unnumbered(table) for split, table in stated.items()}
    wanted = set().union(*lacking.values())
    found: dict[str, dict[str, int]] = {}
    for split in stated:
        called = {number: name for name, number in own[split].items()}
        known = {name: number for name, number in shared.items() if called.get(number, name) == name} | own[split]
        found[split] = {name: known[name] for name in sorted(wanted & known.keys())}
    others = sorted({name for split, names in lacking.items() for name in names - found[split].keys()})
    numbers = (number for table in stated.values() for number in table["category_id"].drop_null().to_pylist())
    taken = {0, *shared.values(), *numbers}
    start = max(taken) + 1
    free = (number for number in count(start if start + len(others) < 2**63 else 1) if number not in taken)
    new = dict(zip(others, free, strict=False))
    return {split: new | known for split, known in found.items()}


def _unnumbered(table: pa.Table) -> set[str]:
    return set(table.filter(pc.is_null(table["category_id"]))["category_name"].to_pylist())


def _pairs(table: pa.Table) -> Counter[Pair]:
    """How many boxes carry each pair of number and name, where boxes name their class themselves."""
    pairs: Counter[Pair] = Counter()
    for row in table.filter(pc.is_valid(table["boxes"])).to_pylist():
        if row["category_id"] is not None and row["category_name"] is not None:
            pairs[row["category_id"], row["category_name"]] += row["boxes"]
    return pairs


def _by_name(pairs: Counter[Pair]) -> dict[str, int]:
    """The number that most boxes of each name carry."""
    return {name: number for number, name in sorted(pairs, key=lambda pair: (pairs[pair], -pair[0]))}


def contradictions(table: pa.Table) -> dict[Pair, tuple[str, str]]:
    """Pairs of number and name of a split's classes that most boxes contradict: field, and what is meant.

    A number means the name that most of its boxes carry. A name means another number only where `_CLEAR` times as
    many of its boxes say so: two classes may share a name. What a file says all through is none: files that number
    the classes differently are at fault, not their boxes.
    """
    pairs = _pairs(table)
    found = _contradicted(pairs)
    for file in pc.unique(table["source_file"]).to_pylist() if found else []:
        own = _pairs(table.filter(pc.equal(table["source_file"], file)))
        ways = own.keys() & found.keys() - _contradicted(own).keys()
        if sum(own[pair] for pair in ways) >= _CLEAR:
            found = {pair: said for pair, said in found.items() if pair not in ways}
    return dict(islice(found.items(), _MAX_CONTRADICTIONS))


def shifted(table: pa.Table, label_map: LabelMap | None) -> str | None:
    """How the labels that a split's boxes carry without names lie beside the label map, if all are moved by one."""
    if label_map is None or not table.num_rows or table["category_name"].null_count < table.num_rows:
        return None
    labels, ids = set(table["category_id"].drop_null().to_pylist()), label_map.names.keys()
    shift = shift_onto(labels, ids)
    if shift is None:
        return None
    return (
        f"the boxes' labels are {min(labels)} to {max(labels)} and the label map's ids {min(ids)} to {max(ids)}: every"
        f" label is shifted by {-shift:+d}, and has another class's name or none"
    )


def _contradicted(pairs: Counter[Pair]) -> dict[Pair, tuple[str, str]]:
    names: dict[int, str] = {}
    ids: dict[str, int] = {}
    for number, name in sorted(pairs, key=lambda pair: (-pairs[pair], pair)):
        names.setdefault(number, name)
        ids.setdefault(name, number)
    found: dict[Pair, tuple[str, str]] = {}
    for (number, name), boxes in sorted(pairs.items()):
        if names[number] != name:
            found[number, name] = ("class/text", f"{name}, and label {number} is {names[number]}")
        elif boxes * _CLEAR <= pairs[ids[name], name]:
            found[number, name] = ("class/label", f"{number}, and {name} is {ids[name]}")
    return found


def note_contradictions(annotations: pa.Table, found: Mapping[Pair, tuple[str, str]]) -> pa.Table:
    """``annotations`` with a defect in each row whose number and name of the class are a pair of `contradictions`."""
    if not found:
        return annotations
    written = pc.binary_join_element_wise(
        annotations["category_id"].cast(pa.string()), annotations["category_name"].cast(pa.string()), " "
    )
    wrong = pa.array([f"{number} {name}" for number, name in found])
    place = pc.index_in(written, value_set=wrong, skip_nulls=True).to_numpy()
    said = list(found.values())
    defects = annotations["defects"].to_pylist()
    for row in np.flatnonzero(~np.isnan(place)).tolist():
        noted = Defects(defects[row] or ())
        noted.note("wrong-type", *said[int(place[row])])
        defects[row] = noted
    index = annotations.schema.get_field_index("defects")
    column = annotations.schema.field(index)
    return annotations.set_column(index, column, pa.array(defects, column.type))


def categories_table(
    stated: Mapping[str, pa.Table],
    ids: Mapping[str, Mapping[str, int]],
    label_map: LabelMap | None,
    run: str,
    wrong: Mapping[str, Container[Pair]],
) -> pa.Table:
    """The table ``categories``.

    Args:
        stated: by split the classes as its files state them (`chunk.CATEGORIES`), in their order.
            A class that several files state alike is one row, but where they contradict each other
            each says so by itself. One without a name gets the label map's. A split whose classes
            have no numbers gets every name of ``ids``. Machine ids (/m/01g317) are called by the label
            map's words for them. Those that only boxes name are not listed.
        ids: by split the number of each name that has none of its own.
        label_map: its classes become rows of every split.
        run: the configuration's name.
        wrong: by split the pairs of number and name that are left out, see `contradictions`.
    """
    rows: list[dict[str, object]] = []
    labels = label_map.names if label_map else {}
    words = {entry.name: entry.label for entry in label_map.entries if entry.name} if label_map else {}

    def call(name: str) -> str:
        return words.get(name) or name if name.startswith("/") else name

    for split, table in stated.items():
        stating = [
            row
            for row in table.filter(pc.is_valid(table["category_id"])).to_pylist()
            if (row["category_id"], row["category_name"]) not in wrong[split]
        ]
        disputed = _disputed(stating)
        own: dict[tuple[int, str | None, str | None], dict[str, object]] = {}
        for row in stating:
            pair = row["category_id"], row["category_name"]
            name = call(pair[1] or "") or labels.get(pair[0])
            listed = row.pop("boxes") is None
            file = row["source_file"] if pair in disputed else None
            own.setdefault(
                (pair[0], name, file), row | {"category_name": name, "source": "annotations", "is_listed": listed}
            )
        if table["category_id"].null_count:
            for name, number in ids[split].items():
                row = {"category_id": number, "category_name": call(name), "source": "annotations", "is_listed": False}
                own.setdefault((number, call(name), None), row)
        rows += [row | {"split": split} for row in own.values()]
        named = {name for _, name, _ in own}
        for entry in label_map.entries if label_map else ():
            if entry.id is not None:
                # an entry is called as the annotations call it, by its name or its display name
                name = entry.name if entry.name in named else entry.label
                rows.append({"split": split, "category_id": entry.id, "category_name": name, "source": "label_map"})
    return schema.from_rows("categories", rows, run=run)


def _disputed(stating: Sequence[Mapping[str, Any]]) -> set[tuple[int, str | None]]:
    """Pairs of id and name of which one file says the id, or the name, with another than an other file does."""
    pairs = {(row["category_id"], row["category_name"]) for row in stating if row["source_file"] is not None}
    names, ids = Counter(name for _, name in pairs if name is not None), Counter(number for number, _ in pairs)
    return {(number, name) for number, name in pairs if names[name] > 1 or ids[number] > 1}

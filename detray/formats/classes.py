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

_CLEAR = 10
_MAX_CONTRADICTIONS = 1000


def number_names(stated: Mapping[str, pa.Table], label_map: LabelMap | None) -> dict[str, int]:
    """An id for each class name that is ``stated`` without one (by split, `chunk.CATEGORIES`).

    The one that most boxes of that name carry elsewhere, else the label map's, else the next free ones in
    the order of the names: 1-based positions in the sorted names, where no class has a number.
    """
    pairs = _pairs(stated)
    known = dict(label_map.ids) if label_map else {}
    known |= {name: number for number, name in sorted(pairs, key=lambda pair: (pairs[pair], -pair[0]))}
    taken = {0, *known.values()}
    for table in stated.values():
        taken.update(table["category_id"].drop_null().to_pylist())
    wanted = {
        name
        for table in stated.values()
        for name in table.filter(pc.is_null(table["category_id"]))["category_name"].to_pylist()
    }
    found = {name: known[name] for name in wanted & known.keys()}
    others = sorted(wanted - known.keys())
    start = max(taken) + 1
    free = (number for number in count(start if start + len(others) < 2**63 else 1) if number not in taken)
    return found | dict(zip(others, free, strict=False))


def _pairs(stated: Mapping[str, pa.Table]) -> Counter[tuple[int, str]]:
    """How many boxes carry each pair of number and name, where boxes name their class themselves."""
    pairs: Counter[tuple[int, str]] = Counter()
    for table in stated.values():
        for row in table.filter(pc.is_valid(table["boxes"])).to_pylist():
            if row["category_id"] is not None and row["category_name"] is not None:
                pairs[row["category_id"], row["category_name"]] += row["boxes"]
    return pairs


def contradictions(stated: Mapping[str, pa.Table]) -> dict[tuple[int, str], tuple[str, str]]:
    """Pairs of number and name of a class, as boxes carry them, that most boxes contradict: field, and what is meant.

    A number means the name that most of its boxes carry. A name means another number only where
    `_CLEAR` times as many of its boxes say so: two classes may share a name.
    """
    pairs = _pairs(stated)
    names: dict[int, str] = {}
    ids: dict[str, int] = {}
    for number, name in sorted(pairs, key=lambda pair: (-pairs[pair], pair)):
        names.setdefault(number, name)
        ids.setdefault(name, number)
    found: dict[tuple[int, str], tuple[str, str]] = {}
    for (number, name), boxes in sorted(pairs.items()):
        if names[number] != name:
            found[number, name] = ("class/text", f"{name}, and label {number} is {names[number]}")
        elif boxes * _CLEAR <= pairs[ids[name], name]:
            found[number, name] = ("class/label", f"{number}, and {name} is {ids[name]}")
    return dict(islice(found.items(), _MAX_CONTRADICTIONS))


def note_contradictions(annotations: pa.Table, found: Mapping[tuple[int, str], tuple[str, str]]) -> pa.Table:
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
    ids: Mapping[str, int],
    label_map: LabelMap | None,
    run: str,
    wrong: Container[tuple[int, str]] = (),
) -> pa.Table:
    """The table ``categories``.

    Args:
        stated: by split the classes as its files state them (`chunk.CATEGORIES`), in their order.
            A class that several files state alike is one row, but where they contradict each other
            each says so by itself. One without a name gets the label map's. A split whose classes
            have no numbers gets every name of ``ids``. Machine ids (/m/01g317) are called by the label
            map's words for them. Those that only boxes name are not listed.
        ids: the number of each name that has none of its own.
        label_map: its classes become rows of every split.
        run: the configuration's name.
        wrong: pairs of number and name that are left out, see `contradictions`.
    """
    rows: list[dict[str, object]] = []
    labels = label_map.names if label_map else {}
    words = {entry.name: entry.label for entry in label_map.entries if entry.name} if label_map else {}

    def call(name: str) -> str:
        return words.get(name) or name if name.startswith("/") else name

    for split, table in stated.items():
        stating = table.filter(pc.is_valid(table["category_id"])).to_pylist()
        disputed = _disputed(stating)
        own: dict[tuple[int, str | None, str | None], dict[str, object]] = {}
        for row in stating:
            pair = row["category_id"], row["category_name"]
            if pair not in wrong:
                name = call(pair[1] or "") or labels.get(pair[0])
                listed = row.pop("boxes") is None
                file = row["source_file"] if pair in disputed else None
                own.setdefault(
                    (pair[0], name, file), row | {"category_name": name, "source": "annotations", "is_listed": listed}
                )
        if table["category_id"].null_count:
            for name, number in ids.items():
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
    names, ids = Counter(name for _, name in pairs), Counter(number for number, _ in pairs)
    return {(number, name) for number, name in pairs if names[name] > 1 or ids[number] > 1}

"""The table of classes: those that annotations name, numbered where they have no numbers, and the label map's."""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from detray import schema
from detray.formats.label_map import LabelMap


def number_names(names: Iterable[str], label_map: LabelMap | None) -> dict[str, int]:
    """An id for each class name: the label map's, for others the next free ones in the order of the names.

    Without a label map these are the 1-based positions in the sorted names.
    """
    known = label_map.ids if label_map else {}
    following = max([0, *known.values()]) + 1
    wanted = set(names)
    found = {name: known[name] for name in wanted & known.keys()}
    others = sorted(wanted - known.keys())
    return found | {name: following + position for position, name in enumerate(others)}


def categories_table(
    stated: Mapping[str, pa.Table], ids: Mapping[str, int], label_map: LabelMap | None, run: str
) -> pa.Table:
    """The table ``categories``.

    Args:
        stated: by split the classes as its files state them (`chunk.CATEGORIES`), in their order.
            A class that several files state alike is one row; one without a name gets the label
            map's. A split whose classes have no numbers gets every name of ``ids``. Machine ids
            (/m/01g317) are called by the label map's words for them.
        ids: the number of each name that has none of its own.
        label_map: its classes become rows of every split.
        run: the configuration's name.
    """
    rows: list[dict[str, object]] = []
    labels = label_map.names if label_map else {}
    words = {entry.name: entry.label for entry in label_map.entries if entry.name} if label_map else {}

    def call(name: str) -> str:
        return words.get(name) or name if name.startswith("/") else name

    for split, table in stated.items():
        own: dict[tuple[int, str | None], dict[str, object]] = {}
        for row in table.to_pylist():
            if row["category_id"] is not None:
                name = call(row["category_name"] or "") or labels.get(row["category_id"])
                own.setdefault((row["category_id"], name), row | {"category_name": name})
        if table["category_id"].null_count:
            numbered = [(number, call(name)) for name, number in ids.items()]
            own |= {key: {"category_id": key[0], "category_name": key[1]} for key in numbered}
        rows += [row | {"split": split, "source": "annotations"} for row in own.values()]
        named = {name for _, name in own}
        for entry in label_map.entries if label_map else ():
            if entry.id is not None:
                # an entry is called as the annotations call it, by its name or its display name
                name = entry.name if entry.name in named else entry.label
                rows.append({"split": split, "category_id": entry.id, "category_name": name, "source": "label_map"})
    return schema.from_rows("categories", rows, run=run)

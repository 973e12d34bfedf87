"""What Open Images states beside boxes: its hierarchy of classes, and which classes each image was looked through for.

The rules are those of the challenge (storage.googleapis.com/openimages/web/evaluation.html): a box
counts for its class and all classes above; an image that has a class has those above, one that lacks
it lacks those below.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Flags, Ints
from detray.errors import DetrayError
from detray.evaluate.kernel.order import pair_codes, runs
from detray.evaluate.settings import EvaluateSettings
from detray.files import open_file
from detray.flow.data import Data
from detray.tables import lookup

MAX_HIERARCHY_BYTES = 1 << 26
COLUMNS = ("ImageID", "LabelName", "Confidence")


@dataclass(frozen=True)
class Hierarchy:
    """By class the classes above it, by name; a root that holds all is none."""

    above: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def below(self) -> dict[str, set[str]]:
        """By class the classes below it."""
        found: dict[str, set[str]] = {}
        for name, ancestors in self.above.items():
            for ancestor in ancestors:
                found.setdefault(ancestor, set()).add(name)
        return found

    def edges(self, ids: Mapping[str, int]) -> tuple[Ints, Ints]:
        """Each class and each one above it, by id: ``[e]`` each, by rising class. Names without an id are left out."""
        pairs = sorted(
            (ids[name], ids[ancestor])
            for name, ancestors in self.above.items()
            for ancestor in ancestors
            if name in ids and ancestor in ids
        )
        rows = np.array(pairs, np.int64).reshape(-1, 2)
        return rows[:, 0], rows[:, 1]


@dataclass(frozen=True)
class Rules:
    """What holds in one split.

    Attributes:
        child, parent: of `Hierarchy.edges`.
        labels: verified labels: ``image`` (the stem of a picture's name) and ``category_id``; None: not given.
    """

    child: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    parent: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    labels: pa.Table | None = None

    def expanded(self, category: Ints) -> tuple[Ints, Ints]:
        """Rows ``[n]`` of these classes, each followed by one for each class above: which row, and its class."""
        first, count = runs(self.child, category)
        total = count + 1
        rows = np.repeat(np.arange(len(category)), total)
        place = np.arange(len(rows)) - np.repeat(np.cumsum(total) - total, total)
        found = category[rows]
        above = place > 0
        found[above] = self.parent[first[rows[above]] + place[above] - 1]
        return rows, found


def verified(labels: pa.Table, images: pa.Table, image: Ints, category: Ints) -> Flags:
    """Whether each pair ``[n]`` of an image and a class is among ``labels``, which are as in `Rules`."""
    stems = pc.replace_substring_regex(images["file_name"], r"^.*/|\.[^./]*$", "")
    listed = pa.table({"image_id": images["image_id"], "stem": stems})
    known = lookup(labels["image"], listed, "stem", "image_id")
    here = np.flatnonzero(known.is_valid().to_numpy(zero_copy_only=False))
    pairs = known.take(pa.array(here)).to_numpy(), labels["category_id"].to_numpy()[here]
    found, asked = pair_codes(*pairs, (image, category))
    return np.isin(asked, found)


def read_hierarchy(path: str) -> Hierarchy:
    """The hierarchy of a JSON file as Open Images has it: LabelName, Subcategory and Part, nested.

    Raises:
        DetrayError: it is something else.
    """
    try:
        with open_file(path) as file:
            root = json.loads(file.read(MAX_HIERARCHY_BYTES))
    except OSError as error:
        raise DetrayError(f"{path}: cannot be read ({error.strerror}); check evaluate.hierarchy") from None
    except (ValueError, RecursionError):
        raise DetrayError(f"{path}: is no JSON; evaluate.hierarchy is Open Images' file of nested classes") from None
    if not isinstance(root, dict) or not isinstance(root.get("LabelName"), str):
        raise DetrayError(f"{path}: has no LabelName at its top, so it is no class hierarchy of Open Images")
    above: dict[str, set[str]] = {}
    waiting: list[tuple[Any, tuple[str, ...]]] = [(node, ()) for node in _children(root)]
    while waiting:
        node, ancestors = waiting.pop()
        name = node.get("LabelName") if isinstance(node, dict) else None
        if not isinstance(name, str):
            raise DetrayError(f"{path}: an entry below {', '.join(ancestors) or 'the top'} has no LabelName")
        above.setdefault(name, set()).update(ancestors)
        waiting += [(child, (*ancestors, name)) for child in _children(node)]
    return Hierarchy({name: frozenset(found - {name}) for name, found in above.items()})


def _children(node: dict[str, Any]) -> list[Any]:
    found = node.get("Subcategory", [])
    return found if isinstance(found, list) else []


def read_image_labels(path: str) -> pa.Table:
    """The columns ``image``, ``name`` and ``positive`` of a CSV with image labels that people verified.

    Raises:
        DetrayError: it is something else.
    """
    from pyarrow import csv

    options = csv.ConvertOptions(
        column_types={"ImageID": pa.string(), "LabelName": pa.string(), "Confidence": pa.float64()},
        include_columns=list(COLUMNS),
    )
    try:
        found = csv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowInvalid, pa.ArrowKeyError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise DetrayError(
            f"{path}: is no CSV of image labels with the columns {', '.join(COLUMNS)} ({reason});"
            " check evaluate.image_labels"
        ) from None
    return pa.table(
        {"image": found["ImageID"], "name": found["LabelName"], "positive": pc.greater_equal(found["Confidence"], 0.5)}
    )


def rules_of(ids: Mapping[str, int], hierarchy: Hierarchy, labels: pa.Table | None) -> Rules:
    """What holds in a split whose classes have these ``ids``, by name."""
    child, parent = hierarchy.edges(ids)
    if labels is None:
        return Rules(child, parent)
    below = hierarchy.below()
    distinct = labels.group_by(["name", "positive"]).aggregate([])
    reached: list[tuple[str, bool, int]] = []
    for name, positive in zip(distinct["name"].to_pylist(), distinct["positive"].to_pylist(), strict=True):
        if name is None or positive is None:
            continue
        others: Sequence[str] = sorted(hierarchy.above.get(name, ()) if positive else below.get(name, ()))
        reached += [(name, positive, ids[one]) for one in (name, *others) if one in ids]
    columns = [list(column) for column in zip(*reached, strict=True)] or [[], [], []]
    known = pa.table(
        {
            "name": pa.array(columns[0], pa.string()),
            "positive": pa.array(columns[1], pa.bool_()),
            "category_id": pa.array(columns[2], pa.int64()),
        }
    )
    pairs = labels.join(known, ["name", "positive"], join_type="inner").select(["image", "category_id"])
    return Rules(child, parent, pairs.combine_chunks())


def ids_by_name(categories: pa.Table, aliases: Mapping[str, int]) -> dict[str, int]:
    """The classes of a split by name, and by what the label map calls them beside it."""
    known = set(categories["category_id"].to_pylist())
    found = {name: number for name, number in aliases.items() if number in known}
    rows = zip(categories["category_name"].to_pylist(), categories["category_id"].to_pylist(), strict=True)
    return found | {name: number for name, number in rows if name is not None and number is not None}


def rules_by_split(
    data: Data, splits: Sequence[str], settings: EvaluateSettings, aliases: Mapping[str, int]
) -> dict[str, Rules]:
    """The rules of each split, where the protocol is Open Images'.

    Raises:
        DetrayError: a file is something else, or names no class of the splits.
    """
    if settings.protocol != "open_images":
        return {}
    hierarchy = Hierarchy() if settings.hierarchy is None else read_hierarchy(settings.hierarchy)
    labels = None if settings.image_labels is None else read_image_labels(settings.image_labels)
    ids = {split: ids_by_name(data.read("categories", filters=[("split", "=", split)]), aliases) for split in splits}
    for key, path, names in (
        ("hierarchy", settings.hierarchy, set(hierarchy.above)),
        (
            "image_labels",
            settings.image_labels,
            set() if labels is None else set(pc.unique(labels["name"]).to_pylist()),
        ),
    ):
        if names and not any(names & found.keys() for found in ids.values()):
            raise DetrayError(
                f"{path}: names classes such as {min(map(str, names))!r}, and none of them is a class of"
                f" {', '.join(splits)}: give a label map with those names, or leave out evaluate.{key}"
            )
    return {split: rules_of(found, hierarchy, labels) for split, found in ids.items()}

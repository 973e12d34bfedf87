"""What a person is to do with an export: by the numbers of boxes, which are the same for every tool."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Step = tuple[str, Any, Any]
"""Op, number of a box or name of a picture, value."""


def make(coco: Path, most: int) -> list[Step]:
    """A plan for an export as COCO: of each kind of suspect ``most`` in turn accepted, rejected, deleted, moved and
    relabelled, and as many boxes drawn and plain ones changed."""
    data = json.loads(coco.read_text())
    names = [row["name"] for row in data["categories"]]
    label = {row["id"]: row["name"] for row in data["categories"]}
    picture = {row["id"]: row for row in data["images"]}
    every = Counter(kind for row in data["annotations"] for kind in _kinds(row))
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in data["annotations"]:  # of what is asked about a box the rarest counts
        kinds.setdefault(min(_kinds(row), key=lambda kind: every[kind]), []).append(row)
    steps: list[Step] = []
    for rows in kinds.values():
        for place, row in enumerate(rows[: 5 * most]):
            other = next((name for name in names if name != label[row["category_id"]]), names[0])
            is_asked = "suspect" in row["attributes"]
            steps.append(
                [
                    ("say", row["id"], "accept") if is_asked else ("relabel", row["id"], other),
                    ("say", row["id"], "reject") if is_asked else ("delete", row["id"], None),
                    ("delete", row["id"], None),
                    ("move", row["id"], _moved(row["bbox"], picture[row["image_id"]])),
                    ("relabel", row["id"], other),
                ][place % 5]
            )
    drawn = [row for row in data["images"] if row.get("width", 0) > 40 and row.get("height", 0) > 40][:most]
    steps += [("add", Path(row["file_name"]).name, (names[0], [3.0, 4.0, 30.0, 25.0])) for row in drawn]
    return steps


def _kinds(row: dict[str, Any]) -> list[str]:
    """What is asked about a box, without scores; one empty text where nothing is."""
    asked = row["attributes"].get("suspect", "").split("; ")
    return [one.partition(":")[0].rstrip("0123456789. ") for one in asked]


def _moved(box: list[float], picture: dict[str, Any]) -> list[float]:
    """The box, a quarter smaller, within its picture."""
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[0] + box[2], picture["width"]), min(box[1] + box[3], picture["height"])
    return [left, top, 0.75 * (right - left), 0.75 * (bottom - top)]


def follow(coco: Path, steps: Iterable[Step], saved: Path) -> None:
    """Do what the plan says to the export itself, as an editor of COCO files would."""
    data = json.loads(coco.read_text())
    numbers = {row["name"]: row["id"] for row in data["categories"]}
    pictures = {Path(row["file_name"]).name: row["id"] for row in data["images"]}
    rows = {row["id"]: row for row in data["annotations"]}
    for op, where, value in steps:
        if op == "add":
            number = max(rows) + 1
            rows[number] = {"id": number, "image_id": pictures[where], "category_id": numbers[value[0]]}
            rows[number] |= {"bbox": value[1], "attributes": {}}
        elif op == "say":
            rows[where]["attributes"]["decision"] = value
        elif op == "relabel":
            rows[where]["category_id"] = numbers[value]
        elif op == "move":
            rows[where]["bbox"] = value
        else:
            del rows[where]
    saved.write_text(json.dumps(data | {"annotations": [*rows.values()]}))

"""The data set: how much there is in each split, and of each class."""

from typing import Any

from detray.report.reader import Reader
from detray.report.sections import boxes
from detray.report.sections.common import Content

MAX_CLASSES = 300
MAX_DRAWN = 80
"""Classes whose boxes are drawn."""
OPEN = 12
"""Those that are seen at once; the others unfold."""


def build(reader: Reader) -> Content | None:
    """Counts by split, and by class and split; None before ingest is complete."""
    manifest = reader.manifest("ingest")
    if manifest is None:
        return None
    splits: dict[str, dict[str, int]] = {}
    for shard in reader.store.shards():
        counts = splits.setdefault(shard.split, {"n_images": 0, "n_annotations": 0})
        counts["n_images"] += shard.n_images
        counts["n_annotations"] += shard.n_annotations
    is_audited = reader.has("class_stats")
    every = _classes(reader, list(splits), is_audited)
    classes = [row for row in every if any(row["n_boxes"].values()) or row["problems"]]
    return {
        "splits": [{"split": split} | counts for split, counts in splits.items()],
        "is_audited": is_audited,
        "classes": classes[:MAX_CLASSES],
        "n_classes": len({row["id"] for row in every}),
        "empty": [row["name"] if row["name"] is not None else row["id"] for row in every if row not in classes],
        "left_out": max(len(classes) - MAX_CLASSES, 0),
        "drawn": _drawn(reader, list(splits), classes),
        "most_boxes": max((n or 0 for row in classes for n in row["n_boxes"].values()), default=0),
    }


def _drawn(reader: Reader, splits: list[str], classes: list[Content]) -> Content | None:
    """Sizes, places and number of the boxes: of all classes, and of the rarest ones; None without a box."""
    chosen = [row for row in classes if row["id"] is not None and any(row["n_boxes"].values())][:MAX_DRAWN]
    if not chosen:
        return None
    counts = boxes.count(reader, splits, [row["id"] for row in chosen])
    every = [row | boxes.plot(counts, place) for place, row in enumerate(chosen)]
    return {
        "splits": [split for split, n in zip(splits, counts.images, strict=True) if n.any()][: boxes.MAX_SPLITS],
        "all": boxes.plot(counts, len(chosen)),
        "images": boxes.images(counts),
        "shown": every[:OPEN] if len(every) > 1 else [],
        "folded": every[OPEN:],
        "depths": boxes.DEPTHS,
    }


def _classes(reader: Reader, splits: list[str], is_audited: bool) -> list[dict[str, Any]]:
    """A row for each class, the class with the fewest boxes first; faults are None where nothing was audited."""
    classes: dict[int, dict[str, Any]] = {}

    def entry(number: int, name: str | None) -> dict[str, Any]:
        blank = {"id": number, "name": name, "n_boxes": dict.fromkeys(splits, 0), "problems": 0 if is_audited else None}
        return classes.setdefault(number, blank)

    for row in reader.rows("categories"):
        entry(row["category_id"], row["category_name"])
    for row in reader.counts("annotations", ("split", "category_id")):
        if row["category_id"] is not None:
            entry(row["category_id"], None)["n_boxes"][row["split"]] = row["n"]
    for row in reader.rows("class_stats"):
        found = entry(row["category_id"], row["category_name"])
        found["problems"] += sum(row[f"n_findings_{name}"] or 0 for name in ("fatal", "error"))
    return sorted(classes.values(), key=lambda row: (sum(row["n_boxes"].values()), row["id"] or 0))

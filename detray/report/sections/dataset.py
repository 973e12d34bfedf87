"""The data set: how much there is in each split, and of each class."""

from typing import Any

from detray.report.reader import Reader
from detray.report.sections.common import Content

MAX_CLASSES = 300


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
    classes = _classes(reader, list(splits))
    return {
        "splits": [{"split": split} | counts for split, counts in splits.items()],
        "classes": classes[:MAX_CLASSES],
        "n_classes": len({row["id"] for row in classes}),
        "left_out": max(len(classes) - MAX_CLASSES, 0),
        "most_boxes": max((n or 0 for row in classes for n in row["n_boxes"].values()), default=0),
    }


def _classes(reader: Reader, splits: list[str]) -> list[dict[str, Any]]:
    """A row for each class, the class with the fewest boxes first; box counts where audit gave them."""
    classes: dict[int, dict[str, Any]] = {}
    for row in reader.rows("categories"):
        entry = {
            "id": row["category_id"],
            "name": row["category_name"],
            "n_boxes": dict.fromkeys(splits),
            "problems": 0,
        }
        classes.setdefault(row["category_id"], entry)
    for row in reader.rows("class_stats"):
        entry = {
            "id": row["category_id"],
            "name": row["category_name"],
            "n_boxes": dict.fromkeys(splits),
            "problems": 0,
        }
        found = classes.setdefault(row["category_id"], entry)
        found["n_boxes"][row["split"]] = row["n_boxes"]
        found["problems"] += sum(row[f"n_findings_{name}"] or 0 for name in ("fatal", "error"))
    return sorted(classes.values(), key=lambda row: (sum(n or 0 for n in row["n_boxes"].values()), row["id"]))

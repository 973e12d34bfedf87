"""The worst images: labelled boxes and detections side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detray.report.pictures import Mark
from detray.report.reader import Reader, Row
from detray.report.sections.common import Content, Evaluation, Sources, box_of, label, paths

MAX_IMAGES = 12


@dataclass(frozen=True)
class Named(Mark):
    """A mark of a class."""

    name: str = ""


def build(sources: Sources, evaluation: Evaluation, classes: list[Row]) -> Content | None:
    """The images with the most missed boxes and false detections, and what was missed and false there.

    Detections count from the score of their class's best F1 (of ``classes``, rows of class_metrics).
    """
    reader = sources.reader
    wanted = evaluation.filter & (pc.field("rank") <= MAX_IMAGES)
    worst = [row for row in reader.rows("image_metrics", wanted) if (row["n_missed"] or 0) + (row["n_false"] or 0) > 0]
    if not worst:
        return None
    worst.sort(key=lambda row: row["rank"])
    ids = [row["image_id"] for row in worst]
    where = paths(reader.of_images("images", evaluation.split, ids))
    marks = marks_of(reader, evaluation, ids, classes)
    return {
        "images": [
            row
            | {
                "figure": sources.album.add(
                    *where.get(row["image_id"], (None, row["file_name"])), marks[row["image_id"]]
                ),
                "missed": _counted(marks[row["image_id"]], "missed"),
                "false": _counted(marks[row["image_id"]], "false"),
            }
            for row in worst
        ]
    }


def marks_of(
    reader: Reader, evaluation: Evaluation, image_ids: list[int], classes: list[Row]
) -> dict[int, list[Named]]:
    """What to draw on each image: labelled boxes, found or missed, and detections, right or false."""
    least = {row["category_id"]: row["best_f1_threshold"] or 0.0 for row in classes}
    annotations = reader.of_images("annotations", evaluation.split, image_ids)
    names = {row["category_id"]: row["category_name"] for row in classes}
    matches = reader.of_images("matches", evaluation.split, image_ids, pc.field("model") == evaluation.model)
    marks: dict[int, list[Named]] = {image_id: [] for image_id in image_ids}
    found: set[tuple[int, int]] = set()
    detections: list[tuple[int, Named]] = []
    for row in _detections(matches):
        if row["score"] < least.get(row["category_id"], 0.0):
            continue
        right = row["outcome"] == "true_positive"
        if right:
            found.add((row["image_id"], row["annotation_row"]))
        box = box_of(row)
        if box is not None:
            name = row["category_name"] or str(row["category_id"])
            mark = Named(box, "right" if right else "false", label(name, row["score"]), name)
            detections.append((row["image_id"], mark))
    for row in annotations.to_pylist():
        box = box_of(row)
        if box is None or row["is_crowd"]:
            continue
        style = "found" if (row["image_id"], row["annotation_row"]) in found else "missed"
        name = names.get(row["category_id"]) or str(row["category_id"])
        # a found box stands under its detection, which carries the name
        marks[row["image_id"]].append(Named(box, style, "" if style == "found" else name, name))
    for image_id, mark in detections:
        marks[image_id].append(mark)
    return marks


def _detections(matches: pa.Table) -> list[dict[str, Any]]:
    wanted = pc.is_in(matches["outcome"], value_set=pa.array(["true_positive", "false_positive"]))
    found: list[dict[str, Any]] = matches.filter(wanted).to_pylist()
    return found


def _counted(marks: Sequence[Named], style: str) -> list[tuple[int, str]]:
    """How many marks of a style there are of each class, the most first."""
    return [(n, name) for name, n in Counter(mark.name for mark in marks if mark.style == style).most_common()]

"""Why each weak class is weak, in words, with what it looks like on pictures."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.boxes import pairwise_iou
from detray.report.pictures import Mark
from detray.report.reader import Row
from detray.report.sections.common import Box, Content, Evaluation, Sources, box_of, label, paths, words

MAX_CLASSES = 40
EXAMPLES = 3
"""Pictures a class of missed boxes, and as many of false detections."""

_PICTURED = 8  # classes that get pictures
_OUTCOMES = ("missed", "false_positive")


def build(sources: Sources, evaluation: Evaluation, metrics: list[Row]) -> Content | None:
    """The diagnosed classes, the one that loses most first; None where there is no diagnosis."""
    rows = sources.reader.rows("diagnoses", evaluation.filter)
    if not rows:
        return None
    classes: dict[int, Content] = {}
    for row in sorted(rows, key=lambda row: row["rank"]):
        entry = {"id": row["category_id"], "name": row["category_name"], "ap": row["ap"], "ap50": row["ap50"]}
        found = classes.setdefault(row["category_id"], entry | {"causes": [], "examples": []})
        found["causes"].append(row | {"words": words(row["cause"]), "numbers": _numbers(row["evidence"])})
    ranked = sorted(classes.values(), key=lambda row: (row["ap"] is not None, row["ap"] or 0.0, row["id"]))
    shown = ranked[:MAX_CLASSES]
    pictured = {row["id"]: row for row in shown[:_PICTURED]}
    names = {row["category_id"]: row["category_name"] for row in metrics}
    for class_id, example in _examples(sources, evaluation, list(pictured), names):
        pictured[class_id]["examples"].append(example)
    return {"classes": shown, "left_out": len(ranked) - len(shown)}


def _numbers(evidence: str) -> list[tuple[str, Any]]:
    """The evidence's JSON object as names in words and values."""
    try:
        values = json.loads(evidence)
    except ValueError:
        return [("evidence", evidence)]
    if not isinstance(values, dict):
        return [("evidence", evidence)]
    return [
        (words(name), value if isinstance(value, int | float | str) or value is None else json.dumps(value))
        for name, value in values.items()
    ]


def _examples(
    sources: Sources, evaluation: Evaluation, class_ids: list[int], names: dict[int, str | None]
) -> list[tuple[int, Content]]:
    """Close-ups of missed boxes, and of false detections of the highest score, with what lies on them."""
    reader = sources.reader
    wanted = evaluation.filter & pc.field("category_id").isin(class_ids) & pc.field("outcome").isin(_OUTCOMES)
    # class_rank keeps to the first detection of a picture; a missed box has none and counts as well
    first = pc.field("class_rank").is_null() | (pc.field("class_rank") == 1)
    by = ("split", "model", "category_id", "outcome", "class_rank")
    rows = reader.best("matches", by, "score", EXAMPLES, wanted & first)
    image_ids = sorted({row["image_id"] for row in rows})
    where = paths(reader.of_images("images", evaluation.split, image_ids))
    labelled = _by_image(reader.of_images("annotations", evaluation.split, image_ids))
    detected = _by_image(
        reader.of_images("matches", evaluation.split, image_ids, pc.field("model") == evaluation.model)
    )
    examples = []
    for row in sorted(rows, key=lambda row: (row["category_id"], row["outcome"] != "missed")):
        own, is_missed = box_of(row), row["outcome"] == "missed"
        if own is None or row["image_id"] not in where:
            continue
        truths = _overlapping(own, labelled.get(row["image_id"], []), 0.1)
        marks = [Mark(box, "found", label(names.get(t["category_id"]))) for t, box in truths if box != own]
        if is_missed:
            detections = [other for other in detected[row["image_id"]] if other["score"] is not None]
            covering = sorted(_overlapping(own, detections, 0.4), key=lambda found: -found[0]["score"])
            marks += [Mark(box, "false", label(d["category_name"], d["score"])) for d, box in covering[:2]]
        marks.append(Mark(own, "missed" if is_missed else "false", label(row["category_name"], row["score"])))
        covers = (row["other_iou"] or 0.0) >= 0.1
        examples.append(
            (
                row["category_id"],
                {key: row[key] for key in ("outcome", "file_name", "score", "other_iou")}
                | {"figure": sources.album.add(*where[row["image_id"]], marks, own)}
                | {"other": row["other_category_name"] if covers else None},
            )
        )
    return examples


def _by_image(rows: pa.Table) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["image_id"], []).append(row)
    return found


def _overlapping(box: Box, rows: list[Row], least: float) -> list[tuple[Row, Box]]:
    """The rows, and their boxes, that overlap ``box`` with an IoU of ``least`` or more."""
    finite = [(row, other) for row in rows if (other := box_of(row)) is not None]
    ious = pairwise_iou(np.array([box]), np.array([other for _, other in finite], np.float64).reshape(-1, 4))[0]
    return [found for found, iou in zip(finite, ious, strict=True) if iou >= least]


def suspects(sources: Sources, evaluation: Evaluation) -> Content | None:
    """The labels that the model's evidence speaks against most; None where there is none."""
    reader = sources.reader
    counts = {row["kind"]: row["n"] for row in reader.counts("label_errors", ("kind",))}
    if not counts:
        return None
    here = (pc.field("split") == evaluation.split) & (pc.field("model") == evaluation.model)
    rows = reader.best("label_errors", ("split", "model", "kind"), "score", 2 * EXAMPLES, here)
    where = paths(reader.of_images("images", evaluation.split, sorted({row["image_id"] for row in rows})))
    shown = []
    for row in sorted(rows, key=lambda row: -row["score"]):
        drawn, suggested = box_of(row), box_of(row, "suggested_")
        marks = [Mark(drawn, "fault", label(row["category_name"]))] if drawn else []
        if suggested and row["kind"] in ("missing", "bad_box"):
            marks.append(Mark(suggested, "suggested", label(row["suggested_category_name"])))
        place = where.get(row["image_id"])  # the annotation of no image has none
        figure = sources.album.add(*place, marks, drawn or suggested) if place else None
        shown.append(row | {"figure": figure, "words": words(row["kind"])})
    return {
        "counts": [(words(kind), n) for kind, n in sorted(counts.items())],
        "shown": shown,
        "n": sum(counts.values()),
    }

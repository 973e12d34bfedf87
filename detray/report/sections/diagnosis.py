"""Why each weak class is weak, in words, with what it looks like on pictures."""

import json
from typing import Any

import pyarrow.compute as pc

from detray.report.pictures import Mark
from detray.report.reader import Row
from detray.report.sections.common import Content, Evaluation, Sources, box_of, label, paths, words
from detray.report.sections.images import marks_of

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
    for class_id, example in _examples(sources, evaluation, metrics, list(pictured)):
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
    sources: Sources, evaluation: Evaluation, metrics: list[Row], class_ids: list[int]
) -> list[tuple[int, Content]]:
    reader = sources.reader
    wanted = evaluation.filter & pc.field("category_id").isin(class_ids) & pc.field("outcome").isin(_OUTCOMES)
    by = ("split", "model", "category_id", "outcome")
    # class_rank keeps to the first detection of a picture; a missed box has none and counts as well
    first = pc.field("class_rank").is_null() | (pc.field("class_rank") == 1)
    rows = reader.best("matches", (*by, "class_rank"), "score", EXAMPLES, wanted & first)
    image_ids = sorted({row["image_id"] for row in rows})
    where = paths(reader.of_images("images", evaluation.split, image_ids))
    surroundings = marks_of(reader, evaluation, image_ids, metrics)
    examples = []
    for row in sorted(rows, key=lambda row: (row["category_id"], row["outcome"] != "missed")):
        own = box_of(row)
        if own is None or row["image_id"] not in where:
            continue
        style = "missed" if row["outcome"] == "missed" else "false"
        mark = Mark(own, style, label(row["category_name"], row["score"]))
        others = [other for other in surroundings[row["image_id"]] if other.box != own]
        figure = sources.album.add(*where[row["image_id"]], [*others, mark], own)
        example = {"figure": figure, "outcome": row["outcome"], "file_name": row["file_name"], "score": row["score"]}
        examples.append(
            (row["category_id"], example | {"other": row["other_category_name"], "other_iou": row["other_iou"]})
        )
    return examples


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
        figure = sources.album.add(*where.get(row["image_id"], (None, row["file_name"])), marks, drawn or suggested)
        shown.append(row | {"figure": figure, "words": words(row["kind"])})
    return {
        "counts": [(words(kind), n) for kind, n in sorted(counts.items())],
        "shown": shown,
        "n": sum(counts.values()),
    }

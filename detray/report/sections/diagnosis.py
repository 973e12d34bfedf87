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
OPEN = 12
"""Classes that are seen at once; the others unfold."""
EXAMPLES = 3
"""Pictures a class of missed boxes, and as many of false detections."""

LIKELY = 0.5
"""Score from which a suspected label is likelier wrong than right."""
UNMEASURED, LOOSE = "no_ground_truth", "localization"
"""Causes that are shown otherwise than others."""
COVERS, TOUCHES = 0.5, 0.1
"""IoU from which a detection covers a box, and from which it touches it."""
TIGHT = 0.75
"""IoU under which a box is drawn loosely around its object."""

_PICTURED = 8  # classes that get pictures
_OUTCOMES = ("missed", "false_positive")


def build(sources: Sources, evaluation: Evaluation, metrics: list[Row]) -> Content | None:
    """The diagnosed classes, the one with the lowest AP first, then those that are not weak and only
    named in the configuration; those without ground truth only by name. None where there is no diagnosis."""
    rows = sources.reader.rows("diagnoses", evaluation.filter)
    if not rows:
        return None
    classes: dict[int, Content] = {}
    for row in sorted(rows, key=lambda row: row["rank"]):
        entry = {"id": row["category_id"], "name": row["category_name"], "ap": row["ap"], "ap50": row["ap50"]}
        found = classes.setdefault(row["category_id"], entry | {"causes": [], "examples": []})
        found["causes"].append(row | {"words": words(row["cause"]), "numbers": _numbers(row["evidence"])})
    for row in classes.values():
        row["is_unmeasured"] = row["causes"][0]["cause"] == UNMEASURED
        row["is_weak"] = row["causes"][0]["is_weak"] is not False and not row["is_unmeasured"]
    unmeasured = [row for row in classes.values() if row["is_unmeasured"]]
    ranked = sorted(
        (row for row in classes.values() if not row["is_unmeasured"]),
        key=lambda row: (not row["is_weak"], row["ap"] is None, row["ap"] or 0.0, row["id"]),
    )
    shown = ranked[:MAX_CLASSES]
    pictured = {row["id"]: row for row in shown[:_PICTURED]}
    names = {row["category_id"]: row["category_name"] for row in metrics}
    first = {number: row["causes"][0]["cause"] for number, row in pictured.items()}
    others = [number for number, cause in first.items() if cause != LOOSE]
    for class_id, example in _examples(sources, evaluation, others, names):
        pictured[class_id]["examples"].append(example)
    loose = [number for number, row in pictured.items() if any(cause["cause"] == LOOSE for cause in row["causes"])]
    for class_id, example in _loose_examples(sources, evaluation, loose):
        if len(pictured[class_id]["examples"]) < (2 if first[class_id] == LOOSE else 3) * EXAMPLES:
            pictured[class_id]["examples"].append(example)
    return {
        "classes": shown,
        "open": OPEN,
        "left_out": len(ranked) - len(shown),
        "n_weak": sum(row["is_weak"] for row in ranked),
        "n_unmeasured": len(unmeasured),
        "unmeasured": [row["name"] for row in unmeasured],
        "unmeasured_remedy": unmeasured[0]["causes"][0]["remedy"] if unmeasured else None,
    }


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
        truths = _overlapping(own, labelled.get(row["image_id"], []), TOUCHES)
        marks = [Mark(box, "found", label(names.get(t["category_id"]))) for t, box in truths if box != own]
        if is_missed:
            detections = [other for other in detected[row["image_id"]] if other["score"] is not None]
            covering = sorted(_overlapping(own, detections, 0.4), key=lambda found: -found[0]["score"])
            marks += [Mark(box, "false", label(d["category_name"], d["score"])) for d, box in covering[:2]]
        marks.append(Mark(own, "missed" if is_missed else "false", label(row["category_name"], row["score"])))
        touches = (row["other_iou"] or 0.0) >= TOUCHES
        examples.append(
            (
                row["category_id"],
                {key: row[key] for key in ("outcome", "file_name", "score", "other_iou")}
                | {"figure": sources.album.add(*where[row["image_id"]], marks, own)}
                | {"other": row["other_category_name"] if touches else None}
                | {"covers": touches and row["other_iou"] >= COVERS},
            )
        )
    return examples


def _loose_examples(sources: Sources, evaluation: Evaluation, class_ids: list[int]) -> list[tuple[int, Content]]:
    """Close-ups of the detections of the highest scores that sit loosely on a box of their class."""
    reader = sources.reader
    is_loose = (pc.field("outcome") == "true_positive") & (pc.field("iou") < TIGHT)
    wanted = evaluation.filter & pc.field("category_id").isin(class_ids) & (is_loose | (pc.field("error") == LOOSE))
    by = ("split", "model", "category_id")
    rows = reader.best("matches", by, "score", 2 * EXAMPLES, wanted, also=("outcome", "error", "iou"))
    image_ids = sorted({row["image_id"] for row in rows})
    where = paths(reader.of_images("images", evaluation.split, image_ids))
    labelled = _by_image(reader.of_images("annotations", evaluation.split, image_ids))
    examples = []
    for row in rows:
        own = box_of(row)
        if own is None or row["image_id"] not in where:
            continue
        same = [box for box in labelled.get(row["image_id"], []) if box["category_id"] == row["category_id"]]
        marks = [Mark(box, "found") for _, box in _overlapping(own, same, TOUCHES)]
        marks.append(Mark(own, "right" if row["outcome"] == "true_positive" else "false", label(None, row["score"])))
        figure = sources.album.add(*where[row["image_id"]], marks, own)
        shown = {key: row[key] for key in ("file_name", "score", "iou")}
        examples.append((row["category_id"], shown | {"outcome": "loose", "figure": figure}))
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
    by = ("split", "model", "kind")
    counts: dict[str, dict[str, int]] = {}
    for batch in reader.batches("label_errors", (*by, "score")):
        found = batch.filter(evaluation.filter)
        for kind, score in zip(found["kind"].to_pylist(), found["score"].to_pylist(), strict=True):
            entry = counts.setdefault(kind, {"n": 0, "likely": 0})
            entry["n"] += 1
            entry["likely"] += score is not None and score >= LIKELY
    if not counts:
        return None
    wanted = evaluation.filter
    if any(entry["likely"] for entry in counts.values()):
        wanted &= pc.field("score") >= LIKELY
    rows = reader.best("label_errors", by, "score", 2 * EXAMPLES, wanted)
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
        "counts": [{"words": words(kind)} | entry for kind, entry in sorted(counts.items())],
        "shown": shown,
        "n": sum(entry["n"] for entry in counts.values()),
        "likely": sum(entry["likely"] for entry in counts.values()),
    }

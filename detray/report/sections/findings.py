"""What the audit found: rules by severity, each with its general findings and examples on pictures."""

from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc

from detray import schema
from detray.report.pictures import Mark
from detray.report.reader import Row
from detray.report.sections.common import Box, Content, Sources, box_of, label, paths

MAX_EXAMPLES = 6
"""Findings shown for a rule; as many pictures."""

MAX_GENERAL = 5
"""Findings about a class, split or the data set shown for a rule."""

_SINGLE = ("annotation", "image")


def build(sources: Sources) -> Content | None:
    """Rules from the most severe down, with counts; None before audit is complete."""
    reader = sources.reader
    if not reader.has("findings"):
        return None
    rules: dict[str, Content] = {}
    by_severity = dict.fromkeys(reversed(range(len(schema.SEVERITIES))), 0)
    for row in reader.counts("findings", ("rule", "family", "severity", "scope")):
        rule = rules.setdefault(
            row["rule"],
            {"rule": row["rule"], "family": row["family"], "severity": row["severity"], "n": 0, "n_general": 0}
            | {"general": [], "examples": []},
        )
        rule["severity"] = max(rule["severity"], row["severity"])
        rule["n" if row["scope"] in _SINGLE else "n_general"] += row["n"]
    for rule in rules.values():
        # what is said of a whole class or split counts only where no single rows stand for it
        rule["total"] = rule["n"] or rule["n_general"]
        by_severity[rule["severity"]] += rule["total"]
    is_single = pc.field("scope").isin(_SINGLE)
    for row in reader.best("findings", ("rule", "scope"), "count", MAX_GENERAL, ~is_single):
        rules[row["rule"]]["general"].append(row)
    examples = reader.best("findings", ("rule", "scope"), "confidence", MAX_EXAMPLES, is_single)
    for row, figure in zip(examples, _figures(sources, examples), strict=True):
        shown = rules[row["rule"]]["examples"]
        if len(shown) < MAX_EXAMPLES:
            shown.append(row | {"figure": figure})
    ranked = sorted(rules.values(), key=lambda rule: (-rule["severity"], -rule["total"], rule["rule"]))
    return {
        "rules": [rule | {"severity_name": schema.SEVERITIES[rule["severity"]]} for rule in ranked],
        "by_severity": [{"name": schema.SEVERITIES[severity], "n": n} for severity, n in by_severity.items()],
        "n": sum(by_severity.values()),
        "pictures_checked": (reader.manifest("audit") or {}).get("facts", {}).get("pictures_checked"),
    }


def _figures(sources: Sources, findings: Sequence[Row]) -> list[int | None]:
    """A figure for each finding that names an image; the most severe findings get theirs first."""
    keys: list[int | None] = [None] * len(findings)
    surroundings: dict[str, tuple[dict[int, Any], dict[int, list[Row]], dict[int, str]]] = {}
    for split in {row["split"] for row in findings if row["split"] is not None}:
        ids = sorted({row["image_id"] for row in findings if row["split"] == split and row["image_id"] is not None})
        boxes: dict[int, list[Row]] = {}
        for annotation in sources.reader.of_images("annotations", split, ids).to_pylist():
            boxes.setdefault(annotation["image_id"], []).append(annotation)
        names = {
            row["category_id"]: row["category_name"]
            for row in sources.reader.rows("categories", pc.field("split") == split)
        }
        surroundings[split] = paths(sources.reader.of_images("images", split, ids)), boxes, names
    for index in sorted(range(len(findings)), key=lambda index: -findings[index]["severity"]):
        row = findings[index]
        where, boxes, names = surroundings.get(row["split"], ({}, {}, {}))
        if row["image_id"] in where:
            marks, focus = _marks(row, boxes.get(row["image_id"], []), names)
            path, file_name = where[row["image_id"]]
            keys[index] = sources.album.add(path, file_name, marks, focus)
    return keys


def _marks(finding: Row, annotations: Sequence[Row], names: dict[int, str]) -> tuple[list[Mark], Box | None]:
    """The image's labelled boxes, the finding's own in front; a close-up where the finding has a box."""
    own = box_of(finding)
    marks = []
    for annotation in annotations:
        box = box_of(annotation)
        if box is None or annotation["annotation_row"] == finding["annotation_row"] is not None:
            continue
        is_other = annotation["annotation_id"] == finding["other_annotation_id"] is not None
        name = names.get(annotation["category_id"]) or str(annotation["category_id"])
        marks.append(Mark(box, "other" if is_other else "truth", label(name)))
    if own is not None:
        marks.append(Mark(own, "fault", label(finding["category_name"] or finding["rule"])))
    return marks, own

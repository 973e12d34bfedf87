"""How good the model is: COCO's numbers, each class, and what its AP is lost to."""

import re
from collections import Counter

import pyarrow.compute as pc

from detray.evaluate.noise import told_noise
from detray.report.reader import Reader, Row
from detray.report.sections.common import Content, Evaluation

MAX_CLASSES = 300
MAX_ERROR_CLASSES = 30
MAX_SLICES = 6
"""Columns that slice, shown; of each at most so many classes and values:"""
MAX_SLICE_CLASSES, MAX_SLICE_VALUES = 20, 12

ERRORS = ("classification", "localization", "both", "duplicate", "background", "missed")

_PALEST = 0.005


def evaluations(reader: Reader) -> list[Evaluation]:
    """Every model and split that was evaluated or diagnosed, in the order of the tables."""
    rows = [row for table in ("summary_metrics", "diagnoses") for row in reader.rows(table, columns=("split", "model"))]
    return [Evaluation(*key) for key in dict.fromkeys((row["split"], row["model"]) for row in rows)]


def build(reader: Reader, evaluation: Evaluation, classes: list[Row]) -> Content:
    """COCO's numbers and what is noise in them, the classes, and the errors of those that lose most."""
    causes = {
        row["category_id"]: row["cause"]
        for row in reader.rows("diagnoses", evaluation.filter & (pc.field("rank") == 1))
    }
    numbers = reader.rows("summary_metrics", evaluation.filter)
    measured = [row for row in classes if row["n_ground_truth"] or row["n_detections"]]
    return {
        "evaluation": evaluation,
        "numbers": numbers,
        "noise": told_noise(reader.rows("drawn_twice"), evaluation.split, [row["metric"] for row in numbers]),
        "classes": [row | {"cause": causes.get(row["category_id"])} for row in measured[:MAX_CLASSES]],
        "has_causes": any(causes.get(row["category_id"]) for row in measured),
        "has_intervals": any(row["ap_low"] is not None for row in measured),
        "n_measured": sum(row["ap"] is not None for row in classes),
        "left_out": max(len(measured) - MAX_CLASSES, 0),
        "n_empty": len(classes) - len(measured),
        "errors": _errors(reader, evaluation, classes),
        "slices": _slices(reader, evaluation, classes),
    }


def class_metrics(reader: Reader, evaluation: Evaluation) -> list[Row]:
    """The rows of class_metrics for all areas, the weakest class first, those without AP last."""
    rows = reader.rows("class_metrics", evaluation.filter & (pc.field("area_range") == "all"))
    return sorted(rows, key=lambda row: (row["ap"] is None, row["ap"], row["category_id"]))


def comparisons(reader: Reader) -> list[Row]:
    """Classes of two models side by side, the largest loss first; empty where there is one model."""
    rows = [row for row in reader.rows("comparisons") if row["delta"] is not None]
    return sorted(rows, key=lambda row: row["delta"])[:MAX_CLASSES]


def _errors(reader: Reader, evaluation: Evaluation, metrics: list[Row]) -> Content | None:
    aps = {row["category_id"]: row["ap"] for row in metrics}
    classes: dict[int, Content] = {}
    for row in reader.rows("errors", evaluation.filter):
        if aps.get(row["category_id"]) is None:
            continue
        entry = classes.setdefault(row["category_id"], {"name": row["category_name"], "lost": 0.0, "cells": {}})
        entry["cells"][row["error"]] = {"n": row["n"], "d_ap": row["d_ap"], "heat": heat(row["d_ap"])}
        # all boxes are missed: what they would bring is not known, and no class loses more
        entry["lost"] += row["d_ap"] if row["d_ap"] is not None else 1.0
    if not classes:
        return None
    ranked = sorted(classes.values(), key=lambda row: -row["lost"])
    return {"types": ERRORS, "classes": ranked[:MAX_ERROR_CLASSES], "left_out": max(len(ranked) - MAX_ERROR_CLASSES, 0)}


def _slices(reader: Reader, evaluation: Evaluation, metrics: list[Row]) -> list[Content]:
    """For each column that slices: its values, and the AP of the weakest classes on each of them."""
    found: dict[str, dict[tuple[int, str], Row]] = {}
    for row in reader.rows("slices", evaluation.filter):
        found.setdefault(row["slice"], {})[row["category_id"], row["value"]] = row
    shown = []
    for name, cells in list(found.items())[:MAX_SLICES]:
        boxes = Counter({value: 0 for _, value in cells})
        for (_, value), row in cells.items():
            boxes[value] += row["n_ground_truth"]
        values = sorted((value for value, _ in boxes.most_common(MAX_SLICE_VALUES)), key=by_start)
        classes = [row for row in metrics if any((row["category_id"], value) in cells for value in values)]
        rows = [
            {
                "name": row["category_name"],
                "ap": row["ap"],
                "cells": [cells.get((row["category_id"], value)) for value in values],
            }
            for row in classes[:MAX_SLICE_CLASSES]
        ]
        shown.append(
            {"name": name, "values": values, "classes": rows}
            | {"left_out": max(len(classes) - MAX_SLICE_CLASSES, 0), "values_left_out": len(boxes) - len(values)}
        )
    return shown


def by_start(value: str) -> tuple[bool, float, str]:
    """A key that sorts values of slices: numbers and intervals by their start, then words."""
    start = re.match(r"[\[(]?(-?[\d.]+(?:e[+-]?\d+)?)", value)
    return (False, float(start[1]), value) if start else (True, 0.0, value)


def heat(share: float | None) -> int:
    """A value from 0 to 1 as one of the style sheet's ten depths of colour; 0 for none."""
    return 0 if share is None or share < _PALEST else min(9, int(share * 10)) + 1

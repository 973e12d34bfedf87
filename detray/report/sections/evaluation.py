"""How good the model is: COCO's numbers, each class, and what its AP is lost to."""

import pyarrow.compute as pc

from detray.report.reader import Reader, Row
from detray.report.sections.common import Content, Evaluation

MAX_CLASSES = 300
MAX_ERROR_CLASSES = 30

ERRORS = ("classification", "localization", "both", "duplicate", "background", "missed")

_PALEST = 0.005

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def evaluations(reader: Reader) -> list[Evaluation]:
    """Every model and split that was evaluated, in the order of the table."""
    rows = reader.rows("summary_metrics", columns=("split", "model"))
    return [Evaluation(*key) for key in dict.fromkeys((row["split"], row["model"]) for row in rows)]


def build(reader: Reader, evaluation: Evaluation, classes: list[Row]) -> Content:
    """COCO's numbers, the classes (of `class_metrics`), and the errors of the classes that lose most."""
    numbers = {row["metric"]: row for row in reader.rows("summary_metrics", evaluation.filter)}
    causes = {
        row["category_id"]: row["cause"]
        for row in reader.rows("diagnoses", evaluation.filter & (pc.field("rank") == 1))
    }
    return {
        "evaluation": evaluation,
        "numbers": [numbers[name] for name in METRICS if name in numbers],
        "classes": [row | {"cause": causes.get(row["category_id"])} for row in classes[:MAX_CLASSES]],
        "n_measured": sum(row["ap"] is not None for row in classes),
        "left_out": max(len(classes) - MAX_CLASSES, 0),
        "errors": _errors(reader, evaluation),
    }


def class_metrics(reader: Reader, evaluation: Evaluation) -> list[Row]:
    """The rows of class_metrics for all areas, the weakest class first, those without AP last."""
    rows = reader.rows("class_metrics", evaluation.filter & (pc.field("area_range") == "all"))
    return sorted(rows, key=lambda row: (row["ap"] is None, row["ap"], row["category_id"]))


def comparisons(reader: Reader) -> list[Row]:
    """Classes of two models side by side, the largest loss first; empty where there is one model."""
    rows = [row for row in reader.rows("comparisons") if row["delta"] is not None]
    return sorted(rows, key=lambda row: row["delta"])[:MAX_CLASSES]


def _errors(reader: Reader, evaluation: Evaluation) -> Content | None:
    classes: dict[int, Content] = {}
    for row in reader.rows("errors", evaluation.filter):
        entry = classes.setdefault(row["category_id"], {"name": row["category_name"], "cells": {}})
        entry["cells"][row["error"]] = {"n": row["n"], "d_ap": row["d_ap"], "heat": heat(row["d_ap"])}
    if not classes:
        return None
    ranked = sorted(classes.values(), key=lambda row: -sum(cell["d_ap"] or 0 for cell in row["cells"].values()))
    return {"types": ERRORS, "classes": ranked[:MAX_ERROR_CLASSES], "left_out": max(len(ranked) - MAX_ERROR_CLASSES, 0)}


def heat(share: float | None) -> int:
    """A value from 0 to 1 as one of the style sheet's ten depths of colour; 0 for none."""
    return 0 if share is None or share < _PALEST else min(9, int(share * 10)) + 1

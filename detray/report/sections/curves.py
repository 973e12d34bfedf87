"""Precision over recall, a small plot a class, the weakest first."""

import pyarrow.compute as pc

from detray.report.plots import polyline
from detray.report.reader import Reader, Row
from detray.report.sections.common import Content, Evaluation

MAX_CLASSES = 24
_LOOSE, _STRICT = 0.5, 0.75


def build(reader: Reader, evaluation: Evaluation, classes: list[Row]) -> Content | None:
    """Curves at IoU .5 and .75 of the first classes of ``classes`` (rows of class_metrics) with ground truth."""
    chosen = [row for row in classes if row["ap"] is not None][:MAX_CLASSES]
    curves: dict[int, dict[float, list[Row]]] = {}
    wanted = pc.field("category_id").isin([row["category_id"] for row in chosen]) & (_near(_LOOSE) | _near(_STRICT))
    for row in reader.rows("pr_curves", evaluation.filter & wanted):
        threshold = _LOOSE if row["iou_threshold"] < (_LOOSE + _STRICT) / 2 else _STRICT
        curves.setdefault(row["category_id"], {}).setdefault(threshold, []).append(row)
    if not curves:
        return None
    plots = [_plot(row, curves[row["category_id"]]) for row in chosen if row["category_id"] in curves]
    return {"plots": plots, "left_out": max(len([r for r in classes if r["ap"] is not None]) - len(plots), 0)}


def _near(threshold: float) -> pc.Expression:
    return (pc.field("iou_threshold") > threshold - 0.01) & (pc.field("iou_threshold") < threshold + 0.01)


def _plot(metrics: Row, curves: dict[float, list[Row]]) -> Content:
    lines = {}
    for threshold, points in curves.items():
        points.sort(key=lambda row: row["recall"])
        lines[threshold] = polyline([row["recall"] for row in points], [row["precision"] for row in points])
    working_point = None
    if metrics["best_f1_recall"] is not None and metrics["best_f1_precision"] is not None:
        working_point = (metrics["best_f1_recall"], metrics["best_f1_precision"])
    return {
        "name": metrics["category_name"],
        "metrics": metrics,
        "loose": lines.get(_LOOSE),
        "strict": lines.get(_STRICT),
        "working_point": working_point,
    }

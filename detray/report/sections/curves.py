"""Plots of each class, the weakest first: precision over recall, both and F1 over the score, AP over the size."""

import pyarrow.compute as pc

from detray.report.plots import polyline
from detray.report.reader import Reader, Row
from detray.report.sections import scores, sizes
from detray.report.sections.common import Content, Evaluation

MAX_CLASSES = 80
MAX_LATER = 24
"""Classes of the first evaluation on the page, and of each later one."""
OPEN = 12
"""Classes that are seen at once; the others unfold."""
_LOOSE, _STRICT = 0.5, 0.75
_COLUMNS = ("category_id", "iou_threshold", "recall", "precision")


def build(reader: Reader, evaluation: Evaluation, classes: list[Row], most: int = MAX_CLASSES) -> Content | None:
    """Plots of the first classes of ``classes`` (rows of class_metrics) with ground truth.

    Args:
        reader: the output folder.
        evaluation: whose classes.
        classes: of class_metrics, those that come first are drawn.
        most: classes that are drawn.
    """
    known = [row for row in classes if row["ap"] is not None]
    chosen = known[:most]
    ids = [row["category_id"] for row in chosen]
    curves: dict[int, dict[float, list[Row]]] = {}
    wanted = pc.field("category_id").isin(ids) & (_near(_LOOSE) | _near(_STRICT))
    for row in reader.rows("pr_curves", evaluation.filter & wanted, _COLUMNS):
        threshold = _LOOSE if row["iou_threshold"] < (_LOOSE + _STRICT) / 2 else _STRICT
        curves.setdefault(row["category_id"], {}).setdefault(threshold, []).append(row)
    if not curves:
        return None
    counts = scores.count(reader, evaluation, ids)
    cells = sizes.cells(reader, evaluation)
    values = sizes.sizes(cells)
    drawn = [
        {
            "metrics": row,
            "name": row["category_name"],
            "recall": _curve(row, curves[row["category_id"]]),
            "score": scores.plot(row, counts[place]),
            "size": sizes.plot(cells.get(row["category_id"], {}), values),
        }
        for place, row in enumerate(chosen)
        if row["category_id"] in curves
    ]
    return {
        "shown": drawn[:OPEN],
        "folded": drawn[OPEN:],
        "has_sizes": bool(values),
        "near": scores.NEAR,
        "enough": sizes.ENOUGH,
        "left_out": len(known) - len(drawn),
    }


def _near(threshold: float) -> pc.Expression:
    return (pc.field("iou_threshold") > threshold - 0.01) & (pc.field("iou_threshold") < threshold + 0.01)


def _curve(metrics: Row, curves: dict[float, list[Row]]) -> Content:
    lines = {}
    for threshold, points in curves.items():
        points.sort(key=lambda row: row["recall"])
        lines[threshold] = polyline([row["recall"] for row in points], [row["precision"] for row in points])
    working_point = None
    if metrics["best_f1_recall"] is not None and metrics["best_f1_precision"] is not None:
        working_point = (metrics["best_f1_recall"], metrics["best_f1_precision"])
    return {"loose": lines.get(_LOOSE), "strict": lines.get(_STRICT), "working_point": working_point}

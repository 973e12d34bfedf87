"""Which class is taken for which."""

from collections import Counter

from detray.report.reader import Reader
from detray.report.sections.common import Content, Evaluation
from detray.report.sections.evaluation import heat

MAX_CLASSES = 20
MAX_PAIRS = 9
MIN_SHARE = 0.05
"""Share of a true class that another must take to be named in words."""

Key = int | None


def build(reader: Reader, evaluation: Evaluation) -> Content | None:
    """The matrix of the classes that are confused most, shares of each true class, and the worst pairs in words."""
    rows = reader.rows("confusion", evaluation.filter)
    if not rows:
        return None
    names: dict[Key, str | None] = {None: None}
    n: Counter[tuple[Key, Key]] = Counter()
    for row in rows:
        true, predicted = row["category_id"], row["predicted_category_id"]
        names.setdefault(true, row["category_name"])
        names.setdefault(predicted, row["predicted_category_name"])
        n[true, predicted] += row["n"]
    totals: Counter[Key] = Counter()
    wrong: Counter[Key] = Counter()
    for (true, predicted), count in n.items():
        totals[true] += count
        if true != predicted:
            wrong[true] += count
            wrong[predicted] += count
    classes = [key for key in names if key is not None]
    shown = sorted(sorted(classes, key=lambda key: -wrong[key])[:MAX_CLASSES], key=lambda key: (key is None, key))
    axis: list[Key] = [*shown, None]
    return {
        "iou_threshold": rows[0]["iou_threshold"],
        "score_threshold": rows[0]["score_threshold"],
        "columns": [names[key] for key in axis],
        "rows": [
            {
                "name": names[true],
                "total": totals[true],
                "cells": [_cell(n[true, predicted], totals[true], true, predicted) for predicted in axis],
            }
            for true in axis
        ],
        "left_out": len(classes) - len(shown),
        "pairs": _pairs(n, totals, names),
    }


def _cell(count: int, total: int, true: Key, predicted: Key) -> Content:
    """One pair; detections on background have no share: nobody counts the background."""
    share = count / total if total and true is not None else None
    return {"n": count, "share": share, "heat": heat(share), "right": true is not None and true == predicted}


def _pairs(n: Counter[tuple[Key, Key]], totals: Counter[Key], names: dict[Key, str | None]) -> list[Content]:
    mixed = [
        pair
        for pair, count in n.items()
        if None not in pair and pair[0] != pair[1] and count and count >= MIN_SHARE * totals[pair[0]]
    ]
    mixed.sort(key=lambda pair: (-n[pair] / totals[pair[0]], -n[pair]))
    return [
        {"true": names[pair[0]], "predicted": names[pair[1]], "n": n[pair], "total": totals[pair[0]]}
        for pair in mixed[:MAX_PAIRS]
    ]

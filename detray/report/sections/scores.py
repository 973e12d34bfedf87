"""Precision, recall and F1 of a class over the score from which its detections count, at IoU .5."""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from detray.arrays import Floats, Ints
from detray.report.plots import polyline
from detray.report.reader import Reader, Row
from detray.report.sections.common import Content, Evaluation

CUTS = np.arange(51) / 50
"""The scores at which it is drawn."""
NEAR = 0.02
"""F1 this near its best is called as good."""

_RIGHT, _FALSE = "true_positive", "false_positive"


def count(reader: Reader, evaluation: Evaluation, class_ids: Sequence[int]) -> Ints:
    """Right and false detections of each class from each cut on: int64 ``[classes, 2, cuts]``."""
    found = np.zeros(len(class_ids) * 2 * len(CUTS), np.int64)
    ids = np.sort(np.array(class_ids, np.int64))
    for batch in reader.batches("matches", ("split", "model", "category_id", "outcome", "score")):
        counted = pc.field("outcome").isin([_RIGHT, _FALSE]) & pc.field("score").is_valid()
        rows = batch.filter(evaluation.filter & counted & pc.field("category_id").isin(class_ids))
        cut = np.clip(np.searchsorted(CUTS, rows["score"].to_numpy(), side="right") - 1, 0, len(CUTS) - 1)
        is_false = pc.equal(rows["outcome"], _FALSE).to_numpy(zero_copy_only=False)
        at = (np.searchsorted(ids, rows["category_id"].to_numpy()) * 2 + is_false) * len(CUTS) + cut
        found += np.bincount(at, minlength=len(found))
    steps = found.reshape(len(ids), 2, len(CUTS))[np.searchsorted(ids, class_ids)]
    return np.ascontiguousarray(steps[:, :, ::-1].cumsum(axis=2)[:, :, ::-1])


def plot(metrics: Row, counts: Ints) -> Content:
    """The lines of a class, and what they say.

    Args:
        metrics: its row of class_metrics.
        counts: its right and false detections from each cut on, int64 ``[2, cuts]``.
    """
    right, n = counts[0], counts.sum(axis=0)
    boxes = metrics["n_ground_truth"] or 0
    precision = [r / k if k else None for r, k in zip(right.tolist(), n.tolist(), strict=True)]
    f1 = 2 * right / np.maximum(n + boxes, 1)
    xs = CUTS.tolist()
    return {
        "precision": polyline(xs, precision),
        "recall": polyline(xs, np.minimum(right / max(boxes, 1), 1.0).tolist()),
        "f1": polyline(xs, f1.tolist()),
        "best": (metrics["best_f1_threshold"], metrics["best_f1"]) if metrics["best_f1"] else None,
        "near": _near(f1) if metrics["best_f1"] else None,
    }


def _near(f1: Floats) -> tuple[float, float] | None:
    """The cuts around the best one from which and to which F1 is as good."""
    best = int(np.argmax(f1))
    worse = np.flatnonzero(f1 < f1[best] - NEAR)
    first = worse[worse < best].max(initial=-1) + 1
    last = worse[worse > best].min(initial=len(f1)) - 1
    return float(CUTS[first]), float(CUTS[last])

"""What remains when all classes are known: ``summary_metrics`` and ``confusion``."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.arrays import Floats
from detray.boxes import RECALL_POINTS
from detray.evaluate.kernel.accumulate import LEVELS
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard import confusion
from detray.evaluate.tables.bootstrap import LEVEL_50, LEVEL_75, SUMMARY, interval, mean_of_known
from detray.evaluate.tables.metrics import RECALLS
from detray.evaluate.tables.names import Names
from detray.schema import AREA_RANGES


def summary_metrics(numbers: pa.Table, names: Names) -> pa.Table:
    """COCO's twelve numbers of a split with their intervals.

    ``numbers`` is `metrics.ClassTables.numbers` of all classes.
    """
    is_value = pc.equal(numbers["resample"], -1)
    resampled = numbers.select(["resample", "category_id", *SUMMARY]).filter(pc.invert(is_value))
    resampled = resampled.sort_by([("resample", "ascending"), ("category_id", "ascending")])
    classes = len(pc.unique(numbers["category_id"]))
    means = [mean_of_known(tables.numpy(resampled, metric).reshape(-1, max(classes, 1))) for metric in SUMMARY]
    values = _values(numbers)
    low, high = interval(np.stack(means), values)
    columns: dict[str, object] = {
        "split": [names.split] * len(SUMMARY),
        "model": [names.model] * len(SUMMARY),
        "metric": list(SUMMARY),
        "value": values,
        "low": low,
        "high": high,
    }
    return schema.from_columns("summary_metrics", columns, run=names.run)


def _values(numbers: pa.Table) -> Floats:
    """COCO's numbers to the last bit: each a mean over IoU thresholds, recall points and classes, summed
    in this order, as pycocotools does."""
    ids = tables.numpy(numbers, "category_id")[tables.numpy(numbers, "resample") == -1]
    precision, recalls = (_flat(numbers[name]) for name in ("precision", "recalls"))
    precision = precision.reshape(len(ids), len(AREA_RANGES), LEVELS, len(RECALL_POINTS))
    recalls = recalls.reshape(len(ids), RECALLS, LEVELS)
    if (ids[1:] < ids[:-1]).any():
        order = np.argsort(ids)
        precision, recalls = precision[order], recalls[order]
    parts = [precision[:, 0], precision[:, 0, LEVEL_50], precision[:, 0, LEVEL_75]]
    parts += [precision[:, area] for area in range(1, len(AREA_RANGES))]
    parts += [recalls[:, place] for place in range(RECALLS)]
    return np.array([_mean(part) for part in parts])


def _flat(lists: pa.ChunkedArray) -> Floats:
    # the rows of resamples hold no list
    return np.concatenate([chunk.flatten().to_numpy() for chunk in lists.chunks] or [np.empty(0)])


def _mean(values: Floats) -> float:
    """The mean over classes ``[k, ...]``; one without boxes has no value at all."""
    first = values.reshape(len(values), math.prod(values.shape[1:]))[:, 0]
    known = values[np.isfinite(first)]
    return float(np.moveaxis(known, 0, -1).ravel().mean()) if len(known) else np.nan


def confusion_table(counts: Sequence[pa.Table], names: Names, settings: EvaluateSettings) -> pa.Table:
    """The table ``confusion`` of a split from the counts of its shards."""
    rows = pa.concat_tables(counts)
    keys = ["category_id", "predicted_category_id"]
    total = rows.group_by(keys, use_threads=False).aggregate([("n", "sum")])
    total = total.sort_by([(key, "ascending") for key in keys])
    columns: dict[str, object] = {"split": [names.split] * total.num_rows, "model": [names.model] * total.num_rows}
    for key in keys:
        columns[key] = total[key]
        columns[key.replace("_id", "_name")] = [
            None if number is None else names.classes.get(number, str(number)) for number in total[key].to_pylist()
        ]
    columns |= {
        "n": total["n_sum"],
        "iou_threshold": [confusion.IOU] * total.num_rows,
        "score_threshold": [settings.confusion_score] * total.num_rows,
    }
    return schema.from_columns("confusion", columns, run=names.run)

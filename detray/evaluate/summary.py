"""What remains when all classes are known: ``summary_metrics`` and ``confusion``."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.evaluate import confusion
from detray.evaluate.bootstrap import SUMMARY, interval, mean_of_known
from detray.evaluate.metrics import Names
from detray.evaluate.settings import EvaluateSettings


def summary_metrics(numbers: pa.Table, names: Names) -> pa.Table:
    """COCO's twelve numbers of a split with their intervals.

    ``numbers`` holds the scratch of `metrics.ClassTables` of all classes.
    """
    order = pc.sort_indices(numbers, [("resample", "ascending"), ("category_id", "ascending")])
    numbers = numbers.take(order)
    classes = len(pc.unique(numbers["category_id"]))
    means = np.stack(
        [mean_of_known(tables.numpy(numbers, metric).reshape(-1, max(classes, 1))) for metric in SUMMARY]
    )  # [12, 1 + resamples]
    low, high = interval(means[:, 1:])
    columns: dict[str, object] = {
        "split": [names.split] * len(SUMMARY),
        "model": [names.model] * len(SUMMARY),
        "metric": list(SUMMARY),
        "value": means[:, 0] if means.shape[1] else np.full(len(SUMMARY), np.nan),
        "low": low,
        "high": high,
    }
    return schema.from_columns("summary_metrics", columns, run=names.run)


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

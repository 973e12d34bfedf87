"""What remains when all classes are known: ``summary_metrics`` and ``confusion``."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.arrays import Floats
from detray.evaluate.protocol import Number, Protocol
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard import confusion
from detray.evaluate.tables.bootstrap import interval, mean_of_known
from detray.evaluate.tables.names import Names


def summary_metrics(numbers: pa.Table, names: Names, protocol: Protocol) -> pa.Table:
    """The protocol's numbers of a split with their intervals.

    ``numbers`` is `metrics.ClassTables.numbers` of all classes.
    """
    metrics = [number.name for number in protocol.numbers]
    is_value = pc.equal(numbers["resample"], -1)
    resampled = numbers.select(["resample", "category_id", *metrics]).filter(pc.invert(is_value))
    resampled = resampled.sort_by([("resample", "ascending"), ("category_id", "ascending")])
    classes = len(pc.unique(numbers["category_id"]))
    means = [mean_of_known(tables.numpy(resampled, metric).reshape(-1, max(classes, 1))) for metric in metrics]
    values = summary_values(numbers, names, protocol)
    low, high = interval(np.stack(means), values)
    columns: dict[str, object] = {
        "split": [names.split] * len(metrics),
        "model": [names.model] * len(metrics),
        "metric": metrics,
        "value": values,
        "low": low,
        "high": high,
    }
    return schema.from_columns("summary_metrics", columns, run=names.run)


def summary_values(numbers: pa.Table, names: Names, protocol: Protocol) -> Floats:
    """The protocol's numbers to the last bit: each a mean over IoU thresholds, recall points and classes, summed
    in this order, as pycocotools does."""
    is_value = tables.numpy(numbers, "resample") == -1
    ids = tables.numpy(numbers, "category_id")[is_value]
    precision, recalls = (_flat(numbers[name]) for name in ("precision", "recalls"))
    areas, caps, levels = len(protocol.areas), len(protocol.recalls), protocol.levels
    precision = precision.reshape(len(ids), areas, levels, protocol.points)
    recalls = recalls.reshape(len(ids), caps + areas, levels)
    order = np.argsort(ids)
    if (ids[1:] < ids[:-1]).any():
        precision, recalls = precision[order], recalls[order]
    frequencies = np.array([names.frequencies.get(number, "") for number in ids[order].tolist()], np.str_)
    eleven = tables.numpy(numbers, "AP50_11point")[is_value][order] if "AP50_11point" in numbers.column_names else None

    def value(number: Number) -> float:
        if eleven is not None and number.kind == "eleven":
            return _mean(eleven)
        if number.kind == "recall":
            place = number.cap if number.cap is not None else caps + number.area
            return _mean(protocol.over_levels(recalls[:, place]))
        part = precision[:, number.area]
        part = protocol.over_levels(part) if number.level is None else part[:, number.level]
        return _mean(part if number.frequency is None else part[frequencies == number.frequency])

    return np.array([value(number) for number in protocol.numbers])


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

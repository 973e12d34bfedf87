"""The table ``slices``: each slice of a class scored like a class of its own."""

import numpy as np
import pyarrow as pa

from detray import schema, tables
from detray.arrays import Ints
from detray.evaluate.kernel.accumulate import precision_at_recall, true_positives
from detray.evaluate.kernel.order import pair_codes, ranked_order
from detray.evaluate.protocol import Protocol
from detray.evaluate.tables.names import Names


def slice_table(detections: pa.Table, boxes: pa.Table, names: Names, protocol: Protocol) -> pa.Table:
    """The table ``slices`` of some classes from what `shard.slices.sliced` gives of all shards."""
    columns = ["slice", "value", "category_id", "key"]
    groups = boxes.group_by(columns, use_threads=False).aggregate([([], "count_all")])
    if not groups.num_rows:
        return schema.empty("slices")
    groups = groups.sort_by([(name, "ascending") for name in columns])
    # each slice of a class is scored like a class of its own
    group = _places(groups, detections)
    rows = detections.filter(pa.array(group >= 0))
    group = group[group >= 0]
    order = ranked_order(group, *(tables.numpy(rows, name) for name in ("score", "image_id", "rank")))
    group = group[order]
    hits = true_positives(
        group,
        np.searchsorted(group, np.arange(groups.num_rows + 1)),
        tables.numpy(rows, "hit")[order],
        tables.numpy(rows, "counted")[order],
        protocol.levels,
    )
    precision = precision_at_recall(hits, tables.numpy(groups, "count_all")[:, None])
    averaged, at50 = protocol.over_levels(precision), protocol.level(0.5)
    return schema.from_columns(
        "slices",
        names.of(tables.numpy(groups, "category_id"))
        | {
            "slice": groups["slice"],
            "value": groups["value"],
            "n_ground_truth": groups["count_all"],
            "ap": averaged.reshape(len(averaged), -1).mean(axis=1),  # summed as the AP of a class
            "ap50": np.full(len(precision), np.nan) if at50 is None else precision[:, at50].mean(axis=1),
        },
        run=names.run,
    )


def _places(groups: pa.Table, rows: pa.Table) -> Ints:
    """Which row of ``groups`` each of ``rows`` belongs to, by class and key; -1: none."""
    (known, wanted) = (
        np.stack([tables.numpy(part, name) for name in ("category_id", "key")]) for part in (groups, rows)
    )
    code, wanted_code = pair_codes(known[0], known[1], (wanted[0], wanted[1]))
    order = np.argsort(code)
    place = np.minimum(np.searchsorted(code[order], wanted_code), len(code) - 1)
    return np.where(code[order][place] == wanted_code, order[place], -1)

"""The noise ceiling of AP that an audit found: how far two drawings of one picture agree."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from detray.flow.data import Data

METRICS = {"AP50": 0.5, "AP75": 0.75}


def noise_of(data: Data, split: str, metrics: Collection[str]) -> list[str]:
    """What an audit of this data set, if there is one, says of AP beyond which there is noise.

    Args:
        data: an output folder.
        split: that AP is of.
        metrics: those that the protocol has.
    """
    audit = data.manifest("audit")
    rows = sum(key.n_annotations + key.n_images for key in data.shards())
    if audit is None or audit.get("counts", {}).get("in") != rows:  # of other data
        return []
    found = data.read("drawn_twice", "audit")
    return told_noise(found.filter(pc.is_valid(found["finding_id"])).to_pylist(), split, metrics)


def told_noise(drawn_twice: Sequence[Mapping[str, Any]], split: str, metrics: Collection[str]) -> list[str]:
    """A line on the agreement of drawings, one of which lies in ``split``, where a finding tells of it.

    The agreement is 2 m / n, with m matches among the n boxes of all pairs of drawings (`drawn_twice` in schema.py).
    """
    mine = [
        row
        for row in drawn_twice
        if row["finding_id"] is not None and row["category_id"] is None and split in (row["split"], row["other_split"])
    ]
    if not mine:
        return []
    bounds, pictures = [], 0
    for metric, threshold in METRICS.items():
        rows = [row for row in mine if abs(row["iou_threshold"] - threshold) < 1e-9]
        pictures = sum(row["n_pictures"] for row in rows)
        if metric in metrics:
            agreement = 2 * sum(row["n_matched"] for row in rows) / sum(row["n_boxes"] for row in rows)
            bounds.append(f"{metric} above about {agreement:.2f}")
    if not bounds:
        return []
    verb = "is" if len(bounds) == 1 else "are"
    return [
        f"{split}: drawn twice: {' and '.join(bounds)} {verb} noise ({pictures:,} pictures; duplicate-disagreement)"
    ]

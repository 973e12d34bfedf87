"""What a COCO file can hold: images with an id; annotations with an image, a class and a box."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.tables import Shard

_NEEDED = {
    "no-image": ("image_id",),
    "no-class": ("category_id",),
    "no-box": ("x", "y", "width", "height"),
}
"""Why an annotation cannot be written, and the columns that it then lacks."""


def split_writable(shard: Shard, *, run: str) -> tuple[Shard, pa.Table]:
    """The shard without the rows that no COCO file can hold, and those rows as the table ``quarantine``."""
    has_id = pc.is_valid(shard.images["image_id"])
    left_out = [_quarantine(shard.images.filter(pc.invert(has_id)), "image_row", "no-id", run)]
    annotations = shard.annotations
    for reason, columns in _NEEDED.items():
        lacks = np.logical_or.reduce([pc.is_null(annotations[column]).to_numpy() for column in columns])
        left_out.append(_quarantine(annotations.filter(lacks), "annotation_row", reason, run))
        annotations = annotations.filter(~lacks)
    kept = Shard(shard.split, shard.images.filter(has_id), annotations.combine_chunks(), shard.categories)
    return kept, pa.concat_tables(left_out)


def _quarantine(rows: pa.Table, position: str, reason: str, run: str) -> pa.Table:
    columns = {
        "stage": pa.array(["clean"] * rows.num_rows, pa.string()),
        "split": rows["split"],
        "source_file": rows["source_file"],
        "row": rows[position],
        "reason": pa.array([reason] * rows.num_rows, pa.string()),
        "detail": pa.array(["a COCO file cannot hold it"] * rows.num_rows, pa.string()),
    }
    return schema.from_columns("quarantine", columns, run=run)

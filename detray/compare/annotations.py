"""Which annotations changed between two folders, image by image."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.boxes import pairwise_iou
from detray.compare.sides import Pair, Side

SAME_OBJECT = 0.5
"""IoU from which two boxes of an image are one that was changed."""

_BOX = ("x", "y", "width", "height")
Row = dict[str, Any]


def changes(pair: Pair) -> Iterator[Row]:
    """Rows of the table compared_annotations: boxes of shared images that only one folder has so."""
    for split in pair.later.splits:
        shared = pair.shared(split)
        if not shared.num_rows:
            continue
        earlier = _boxes(pair.earlier, split, shared.select(["file_name", "earlier"]))
        later = _boxes(pair.later, split, shared.select(["file_name", "later"]))
        for file_name, before, after in _unlike(earlier, later):
            for row in _matched(before, after):
                yield {**pair.label, "split": split, "file_name": file_name} | row


def _boxes(side: Side, split: str, images: pa.Table) -> pa.Table:
    """file_name, category_name and box of the annotations of some images."""
    columns = ["split", "image_id", "category_id", *_BOX]
    found = side.store.read("annotations", columns=columns, filters=[("split", "=", split)])
    names = side.names(split)
    classes = pa.table({"id": pa.array(list(names), pa.int64()), "name": pa.array(list(names.values()), pa.string())})
    files = tables.lookup(found["image_id"], images, images.column_names[1], "file_name")
    named = tables.lookup(found["category_id"], classes, "id", "name")
    found = found.select(_BOX).append_column("file_name", files).append_column("category_name", named)
    return found.filter(found["file_name"].is_valid())


def _unlike(earlier: pa.Table, later: pa.Table) -> Iterator[tuple[str, list[Row], list[Row]]]:
    """The images whose boxes differ, with those boxes that the other side does not have as they are."""
    keys = ["file_name", "category_name", *_BOX]
    counted = pa.concat_tables(
        [
            side.select(keys).append_column("n", pa.array(np.full(side.num_rows, sign)))
            for side, sign in ((earlier, -1), (later, 1))
        ]
    )
    counted = counted.group_by(keys).aggregate([("n", "sum")])
    counted = counted.filter(pc.not_equal(counted["n_sum"], 0)).sort_by([(key, "ascending") for key in keys])
    found: dict[str, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for row in counted.to_pylist():
        n = row.pop("n_sum")
        found[row.pop("file_name")][n > 0].extend([row] * abs(n))
    for file_name, (before, after) in found.items():
        yield file_name, before, after


def _matched(before: Sequence[Row], after: Sequence[Row]) -> Iterator[Row]:
    """Boxes that were changed, by the highest IoU; what is left was removed or added."""
    old, new = (
        np.array([[row[side] for side in _BOX] for row in rows], np.float64).reshape(-1, 4) for rows in (before, after)
    )
    iou = np.nan_to_num(pairwise_iou(old, new))
    left = (set(range(len(before))), set(range(len(after))))
    for place in np.argsort(-iou, axis=None, kind="stable").tolist():
        one, other = divmod(place, len(after))
        if iou[one, other] < SAME_OBJECT:
            break
        if one in left[0] and other in left[1]:
            left[0].remove(one)
            left[1].remove(other)
            is_moved = any(before[one][side] != after[other][side] for side in _BOX)
            is_relabelled = before[one]["category_name"] != after[other]["category_name"]
            words = [*(["relabelled"] if is_relabelled else []), *(["moved"] if is_moved else [])]
            yield {"change": " and ".join(words)} | _state("earlier", before[one]) | _state("later", after[other])
    for one in sorted(left[0]):
        yield {"change": "removed"} | _state("earlier", before[one])
    for other in sorted(left[1]):
        yield {"change": "added"} | _state("later", after[other])


def _state(when: str, row: Row) -> Row:
    return {f"category_name_{when}": row["category_name"]} | {f"{side}_{when}": row[side] for side in _BOX}


def counts(rows: Sequence[Row]) -> list[tuple[str, str, int]]:
    """How many boxes changed, by split and change."""
    found = Counter((row["split"], row["change"]) for row in rows)
    return [(split, change, n) for (split, change), n in sorted(found.items())]

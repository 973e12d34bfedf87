"""Edits made on annotations: a table and its ``edits`` in, the corrected table out."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.clean.rows import NOT_FOUND, locate, new_rows, replace_rows, with_columns


class After(msgspec.Struct):
    """An annotation as an edit leaves it: COCO's object, with what an edit may change."""

    id: int | None
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    segmentation: msgspec.Raw = msgspec.Raw(b"")


def apply(annotations: pa.Table, edits: pa.Table) -> pa.Table:
    """``annotations`` (canonical, of one split, sorted by image) after ``edits``, in the same order.

    Rows that no edit names are not touched, edits whose row is not there do nothing, and edits that
    are made already change nothing. A box that is added stands after the others of its image.
    """
    is_add = pc.equal(edits["action"], "add").to_numpy()
    added, changes = edits.filter(is_add), edits.filter(~is_add)
    at = locate(annotations, changes)
    changes, at = changes.filter(at != NOT_FOUND), at[at != NOT_FOUND]
    # the last edit of a chain says how the annotation is in the end
    at, from_end = np.unique(at[::-1], return_index=True)
    last = changes.take(len(changes) - 1 - from_end)
    is_drop = pc.equal(last["action"], "drop").to_numpy()

    changed = at[~is_drop]
    result = replace_rows(annotations, changed, _after(annotations.take(changed), last.filter(~is_drop)))
    kept = np.ones(annotations.num_rows, bool)
    kept[at[is_drop]] = False
    result = result.filter(kept) if is_drop.any() else result
    return _with_added(result, added)


def _after(rows: pa.Table, edits: pa.Table) -> pa.Table:
    states = decoded(edits)
    return with_columns(
        rows,
        annotation_id=pa.array([state.id for state in states], pa.int64()),
        category_id=pa.array([state.category_id for state in states], pa.int64()),
        **dict(zip(("x", "y", "width", "height"), _boxes(states).T, strict=True)),
        area=pa.array([state.area for state in states], pa.float64()),
        segmentation=pa.array([bytes(state.segmentation).decode() or None for state in states], pa.string()),
    )


def _with_added(annotations: pa.Table, edits: pa.Table) -> pa.Table:
    there = pc.is_in(edits["annotation_id"], value_set=annotations["annotation_id"].combine_chunks())
    edits = edits.filter(pc.invert(there))
    if not edits.num_rows:
        return annotations
    states = decoded(edits)
    rows = new_rows(
        edits["run"][0].as_py(),
        edits["split"][0].as_py(),
        tables.numpy(edits, "annotation_id"),
        tables.numpy(edits, "image_id"),
        np.array([state.category_id for state in states]),
        _boxes(states),
    )
    both = pa.concat_tables([annotations, rows])
    order = np.argsort(tables.numpy(both, "image_id", np.iinfo(np.int64).max), kind="stable")
    return both.take(order).combine_chunks()


def decoded(edits: pa.Table) -> Sequence[After]:
    """How each edit leaves its annotation."""
    return msgspec.json.decode(f"[{','.join(edits['after'].to_pylist())}]", type=list[After])


def _boxes(states: Sequence[After]) -> np.ndarray:
    return np.array([state.bbox for state in states], np.float64).reshape(-1, 4)

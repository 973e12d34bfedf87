"""Ids of annotations by which pycocotools, which keys boxes by them, evaluates others than those of the file."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa

from detray.arrays import Ints


class AnnotationIds(msgspec.Struct, frozen=True):
    """The ids of some annotations: how many, those that stand more than once, those that are 0, and their range."""

    n: int = 0
    shared: int = 0
    zero: int = 0
    low: int = 0
    high: int = 0


def count_ids(annotations: pa.Table) -> AnnotationIds:
    """The ids of a shard's annotations; formats without ids have none."""
    ids: Ints = annotations["annotation_id"].drop_null().to_numpy()
    if not len(ids):
        return AnnotationIds()
    shared = 0
    if not (np.diff(ids) > 0).all():
        counts = np.unique(ids, return_counts=True)[1]
        shared = int(counts[counts > 1].sum())
    return AnnotationIds(len(ids), shared, int((ids == 0).sum()), int(ids.min()), int(ids.max()))


def told(split: str, parts: Sequence[AnnotationIds], theirs: float | None = None) -> list[str]:
    """What to say of a split whose ids are 0 or shared; between shards, as many as their range has no room for.

    ``theirs`` is pycocotools' main number, if known.
    """
    parts = [part for part in parts if part.n]
    if not parts:
        return []
    room = max(part.high for part in parts) - min(part.low for part in parts) + 1
    shared = max(sum(part.shared for part in parts), sum(part.n for part in parts) - room)
    zero = sum(part.zero for part in parts)
    kinds = [
        f"{shared:,} annotations share their ids with others" if shared > 0 else "",
        f"{zero:,} {'annotation has' if zero == 1 else 'annotations have'} the id 0" if zero else "",
    ]
    which = " and ".join(words for words in kinds if words)
    gives = "gives other numbers" if theirs is None else f"gives {theirs:.3f}"
    said = (
        f"{split}: {which}; pycocotools keys boxes by id and {gives}, here each counts"
        " (evaluate.strict_pycocotools gives its numbers)"
    )
    return [said] if which else []

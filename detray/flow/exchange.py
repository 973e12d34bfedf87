"""An exchange: rows with equal keys, from whichever tasks, come to the same bucket."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray import tables
from detray.flow.kept import Kept


def divide(rows: pa.Table, by: str, buckets: int) -> list[pa.Table]:
    """The rows of each of ``buckets`` buckets: those whose integers ``by`` are equal fall into the same."""
    if buckets == 1:
        return [rows]
    numbers = tables.numpy(rows, by, 0)
    codes = (numbers % numbers.dtype.type(buckets)).astype(np.uint8 if buckets <= 256 else np.int64)
    ordered = rows.take(np.argsort(codes, kind="stable"))
    ends = np.cumsum(np.bincount(codes, minlength=buckets)).tolist()
    return [ordered.slice(start, end - start) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@dataclass(frozen=True)
class Bucket:
    """The task of an exchange: bucket ``number`` of what the tasks before kept.

    ``parts``: by the name of a kept table, the name of each task and its handle on all buckets; the tasks
    of an exchange share it.
    """

    number: int
    parts: Mapping[str, Sequence[tuple[str, Kept]]]

    def of(self, name: str) -> Iterator[tuple[str, pa.Table]]:
        """The rows of this bucket in the kept table ``name``, task by task, beside the task's name."""
        for task, kept in self.parts.get(name, ()):
            yield task, kept.batch(self.number).read()

"""What the schema rules share: the defects that the reader noted in a row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.audit.rule import ERROR, WARNING, About, Hits, Limits
from detray.audit.view import View

OPTIONAL = (
    *("area", "iscrowd", "segmentation", "width", "height", "size", "file_name", "annotator"),
    *("difficult", "truncated", "pose"),
)
"""Fields whose loss leaves the row usable; of a path (size/width) the last part counts."""


@dataclass(frozen=True)
class FromDefects:
    """A rule's check: the defects that the reader noted under its code."""

    code: str

    def __call__(self, view: View, limits: Limits) -> Sequence[Hits]:
        return [
            hits
            for about, rows in (("annotations", view.annotations), ("images", view.images))
            if (hits := self._in(about, rows)) is not None  # type: ignore[arg-type]  # the two literals above
        ]

    def _in(self, about: About, rows: pa.Table) -> Hits | None:
        lists = rows["defects"].combine_chunks()
        if lists.null_count == len(lists):
            return None
        defects = pc.list_flatten(lists)
        mine = pc.equal(defects.field("rule"), self.code)
        parents = pc.list_parent_indices(lists).filter(mine).to_numpy(zero_copy_only=False).astype(np.int64)
        fields = defects.field("field").filter(mine)
        names = pc.replace_substring_regex(fields, "^.*/", "")  # image/width, size/width
        optional = pc.is_in(names, value_set=pa.array(OPTIONAL)).to_numpy(zero_copy_only=False)
        return Hits(
            parents,
            about,
            observed=pc.binary_join_element_wise(
                fields, pc.fill_null(defects.field("observed").filter(mine), ""), ": ", null_handling="replace"
            ),
            severity=np.where(optional, WARNING, ERROR).astype(np.int8),
            share=pc.binary_join_element_wise("field ", fields, "", null_handling="replace"),
            extra=fields,
        )

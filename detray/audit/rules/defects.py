"""What the schema rules share: the defects that the reader noted in a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Flags, Rows
from detray.audit.rule import ERROR, WARNING, About, Hits, Limits
from detray.audit.view import View

OPTIONAL = (
    *("area", "iscrowd", "is_crowd", "segmentation", "width", "height", "size", "file_name", "annotator"),
    *("difficult", "truncated", "pose"),
)
"""Fields whose loss leaves the row usable; of a path (size/width) the last part counts."""


NEED_SIZE = ("out-of-bounds", "fully-outside", "full-image-box", "coordinate-scale", "size-mismatch")
"""Rules that do not judge where the size of an image is not known."""


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
        written = pc.fill_null(defects.field("field").filter(mine), "")
        values = pc.fill_null(defects.field("observed").filter(mine), "")
        between = pc.if_else(pc.or_(pc.equal(written, ""), pc.equal(values, "")), "", ": ")
        observed = pc.binary_join_element_wise(written, between, values, "")
        fields = pc.replace_substring_regex(written, r"\[\d+\]$", "")  # bbox[2]: the four numbers are one field
        first = _starts(parents, fields)
        ends = pa.array(np.append(np.flatnonzero(first), len(parents)), pa.int32())
        fields = fields.filter(pa.array(first))
        names = pc.replace_substring_regex(fields, "^.*/", "")  # image/width, size/width
        is_side = pc.and_(pc.is_in(names, value_set=pa.array(["width", "height"])), about == "images")
        lost = pc.if_else(is_side, f", which {', '.join(NEED_SIZE)} need: they judge nothing here", "")
        optional = pc.is_in(names, value_set=pa.array(OPTIONAL)).to_numpy(zero_copy_only=False)
        return Hits(
            parents[first],
            about,
            observed=pc.binary_join(pa.ListArray.from_arrays(ends, observed), ", "),
            severity=np.where(optional, WARNING, ERROR).astype(np.int8),
            share=pc.if_else(
                pc.equal(fields, ""), "the whole row", pc.binary_join_element_wise("field ", fields, lost, "")
            ),
            extra=fields,
        )


def noted(view: View, code: str, severity: int) -> Sequence[Hits]:
    """What the reader noted of boxes that it knows as fractions only, for a rule that else judges pixels."""
    return [
        replace(hits, severity=np.full(len(hits.rows), severity, np.int8), share=None)
        for hits in FromDefects(code)(view, {})
    ]


def _starts(parents: Rows, fields: pa.Array) -> Flags:
    """Where another row or field begins, ``[k]``."""
    first = np.ones(len(parents), bool)
    same = pc.equal(fields.slice(1), fields.slice(0, max(len(fields) - 1, 0))).to_numpy(zero_copy_only=False)
    first[1:] = (np.diff(parents) != 0) | ~same
    return first

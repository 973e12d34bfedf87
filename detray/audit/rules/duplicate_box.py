"""The same box of the same class stands in an image more than once.

Failure: non-maximum suppression leaves one detection, so all but one of the boxes are always missed: recall and AP
are capped, and the object weighs double in training.
Number: annotations of one image and class (and one annotator, and crowd flag) with equal x, y, width and height.
Every one but the first in the file is found, with the first as other_annotation_id.
Source: Datumaro's and FiftyOne's duplicate checks (IoU = 1); merged annotation files.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import ERROR, Hits, Limits, RowRule, Rows
from detray.audit.rules.geometry import sides
from detray.audit.text import hash_texts, mix
from detray.audit.view import NO_ID, View


def repeated(view: View) -> tuple[Rows, Rows]:
    """Rows that repeat another, and the first row of each one's group, by place in the file."""
    rows = np.flatnonzero(view.has_box & (view.image_ids != NO_ID))
    annotator = view.annotations["annotator"]
    drawn = [hash_texts(annotator)[rows]] if annotator.null_count < len(annotator) else []
    corners = np.ascontiguousarray(view.boxes[rows] + 0.0).view(np.uint64)  # + 0.0: no minus zero
    keys = mix(view.image_ids[rows], view.category_ids[rows], view.is_crowd[rows].astype(np.int64), *corners.T, *drawn)
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    if not same.any():
        return rows[:0], rows[:0]
    inside = np.zeros(len(rows), bool)
    inside[1:] = same
    inside[:-1] |= same
    members = order[inside]
    members = members[np.lexsort((view.annotation_rows[rows[members]], keys[members]))]
    starts = np.ones(len(members), bool)
    starts[1:] = keys[members[1:]] != keys[members[:-1]]
    first = members[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    return rows[members[~starts]], rows[first[~starts]]


def check(view: View, limits: Limits) -> Sequence[Hits]:
    rows, others = repeated(view)
    return [Hits(rows, other=others, observed=sides(view, rows))]


RULE = RowRule(
    code="duplicate-box",
    family="relation",
    severity=ERROR,
    scope="annotation",
    problem="the same box of the same class stands there already",
    expected="one box for each object",
    fix="drop all but one",
    doc=__doc__,
    check=check,
)

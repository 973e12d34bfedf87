"""The same box of the same class stands in an image more than once.

Failure: non-maximum suppression leaves one detection, so all but one of the boxes are always missed: recall and AP
are capped, and the object weighs double in training.
Number: annotations of one image and class (and one annotator, and crowd flag) with equal x, y, width and height.
Every one but the first in the file is found, with the first as other_annotation_id. Boxes without an area are left to
degenerate-box. Of YOLO's labels of a picture whose size is unknown: lines of one class with equal numbers.
Source: Datumaro's and FiftyOne's duplicate checks (IoU = 1); merged annotation files.
"""

from collections.abc import Sequence

from detray.audit.pairs import repeated
from detray.audit.rule import ERROR, Hits, Limits, RowRule
from detray.audit.rules.defects import noted
from detray.audit.rules.sides import sides
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    rows, others = repeated(view)
    return [Hits(rows, other=others, observed=sides(view, rows)), *noted(view, "duplicate-box", ERROR)]


RULE = RowRule(
    code="duplicate-box",
    family="relation",
    severity=ERROR,
    scope="annotation",
    problem="the same box of the same class stands there already",
    expected="one box for each object",
    fix="drop all but one",
    doc=__doc__,
    check=_check,
)

"""A required field is absent or null.

Failure: tools fail with a KeyError, or skip the row in silence; a box without an image or class is lost to
training and evaluation alike.
Number: one finding for each absent field of each row, as the reader met it. A warning where the row is of use without
it (the stated size of an image), else an error. An absent area or iscrowd is none: LVIS has no iscrowd, and the area
of a box follows from its sides.
Source: COCO's data format (https://cocodataset.org/#format-data), the Pascal VOC development kit.
"""

from detray.audit.rule import ERROR, RowRule
from detray.audit.rules.defects import FromDefects

RULE = RowRule(
    code="missing-field",
    family="schema",
    severity=ERROR,
    scope="annotation",
    problem="a field is missing",
    expected="every field that the format requires",
    fix="add the field, or drop the row",
    doc=__doc__,
    check=FromDefects("missing-field"),
)

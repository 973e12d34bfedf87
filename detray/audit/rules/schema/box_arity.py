"""A box does not have four numbers.

Failure: reading x, y, width, height from a list of another length fails, or shifts the values; a polygon was
written where a box belongs.
Number: one finding for each box whose length is not 4; observed is the value.
Source: COCO's data format: "bbox": [x,y,width,height].
"""

from detray.audit.rule import ERROR, RowRule
from detray.audit.rules.defects import FromDefects

RULE = RowRule(
    code="box-arity",
    family="schema",
    severity=ERROR,
    scope="annotation",
    problem="the box does not have four numbers",
    expected="4 numbers: x, y, width, height",
    fix="write the box as x, y, width, height, or drop the row",
    doc=__doc__,
    check=FromDefects("box-arity"),
)

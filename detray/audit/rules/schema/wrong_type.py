"""A value has another type than the format says.

Failure: a number written as text compares and sorts as text, a float where an integer id belongs never matches
its image; loaders crash at the first such row or, worse, do not.
Number: one finding for each such field of each row. Numbers as text are read all the same where they can be; the
finding says what stood there. A warning for fields that have a substitute, else an error.
Source: COCO's data format (https://cocodataset.org/#format-data); JSON has numbers and strings (RFC 8259, section 3).
"""

from detray.audit.rule import ERROR, RowRule
from detray.audit.rules.defects import FromDefects

RULE = RowRule(
    code="wrong-type",
    family="schema",
    severity=ERROR,
    scope="annotation",
    problem="a value has the wrong type",
    expected="the type that the format states",
    fix="write the value in its own type",
    doc=__doc__,
    check=FromDefects("wrong-type"),
)

"""A field stands more than once in one row.

Failure: parsers disagree on which value counts: Python's and most others keep the last, some the first. A box is
then in one image, or of one class, for one tool, and in another for the next.
Number: one finding for each such field of each row, with its values. Of JSON the last is used, of Pascal VOC's XML the
first, as most parsers do. A warning where the field has a substitute, else an error.
Source: RFC 8259, section 4: names within an object should be unique; else behaviour is unpredictable. ElementTree's
find, with which most code reads Pascal VOC, gives the first element of a name.
"""

from detray.audit.rule import ERROR, RowRule
from detray.audit.rules.defects import FromDefects

RULE = RowRule(
    code="repeated-field",
    family="schema",
    severity=ERROR,
    scope="annotation",
    problem="a field stands more than once",
    expected="each field once",
    fix="keep the value that is right",
    doc=__doc__,
    check=FromDefects("repeated-field"),
)

"""A number is NaN or infinite.

Failure: one NaN in a batch makes the loss NaN and, after one step, every weight; NaN compares false with
everything, so range checks pass it.
Number: one finding for each field that reads as NaN or an infinity. Python's json writes and reads these literals,
which JSON itself does not have.
Source: RFC 8259, section 6 ("Numeric values that cannot be represented ... are not permitted"); IEEE 754.
"""

from detray.audit.rule import ERROR, RowRule
from detray.audit.rules.defects import FromDefects

RULE = RowRule(
    code="not-finite",
    family="schema",
    severity=ERROR,
    scope="annotation",
    problem="a number is not finite",
    expected="a finite number",
    fix="find the division that made it; draw the box again or drop the row",
    doc=__doc__,
    check=FromDefects("not-finite"),
)

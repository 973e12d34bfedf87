"""An annotation file, or a row of one, cannot be read at all.

Failure: what stands there is lost: its objects are trained on as background and counted as false detections.
Number: one finding for each file or row that ingest set aside, with its reason.
Source: the table quarantine, which holds what each stage left out; in is kept plus quarantined.
"""

from detray.audit.rule import ERROR, Rule

RULE = Rule(
    code="unreadable-annotation-file",
    family="schema",
    severity=ERROR,
    scope="split",
    problem="it cannot be read",
    expected="a file as its format describes",
    fix="export the file again, or take it out of the data set",
    doc=__doc__,
)

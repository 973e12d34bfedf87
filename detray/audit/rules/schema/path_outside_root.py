"""The file name of an image entry leads to no place in the data set's folder.

Failure: a name with ../, an absolute one, or a link leads a loader to files of another data set or of the machine;
on another machine, to nothing.
Number: one finding for each such name, links followed. An error where an image folder is stated, because the
picture is then not read; else a warning.
Source: CWE-22, path traversal (https://cwe.mitre.org/data/definitions/22.html).
"""

from detray.audit.rule import ERROR, RowRule
from detray.audit.rules.defects import FromDefects

RULE = RowRule(
    code="path-outside-root",
    family="schema",
    severity=ERROR,
    scope="image",
    problem="its file name leads out of the data set's folder",
    expected="a name below the image folder",
    fix="write the name relative to the image folder, or state dataset.root",
    doc=__doc__,
    check=FromDefects("path-outside-root"),
)

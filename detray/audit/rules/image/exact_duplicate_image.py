"""The same picture stands in a split more than once.

Failure: it weighs double in training and in the metrics; with different annotations each copy is missing the boxes
of the other.
Number: a 128-bit hash of the file's content (BLAKE2b), equal for two pictures of the split. Each is found, with one
of the others.
Source: RFC 7693 (BLAKE2); Barz and Denzler, "Do We Train on Test Data?", J. Imaging 6 (2020), on duplicates in CIFAR.
"""

from detray.audit.likeness import EXACT
from detray.audit.rule import WARNING, LikenessRule

RULE = LikenessRule(
    code="exact-duplicate-image",
    family="image",
    severity=WARNING,
    scope="image",
    problem="the same picture stands in the split again",
    expected="each picture once",
    fix="keep one of the two, with the annotations of both",
    doc=__doc__,
    kinds=(EXACT,),
    across_splits=False,
)

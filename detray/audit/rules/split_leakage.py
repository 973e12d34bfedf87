"""A picture of one split stands in another, too.

Failure: the model is tested on what it was trained on: the measured AP is too high, and tuning on it selects what
remembers best.
Number: an error where the files' content is equal; a warning where the difference hashes differ in at most 3 of 64
bits; a suspicion where two names differ in their last number only, after a part that has digits of its own (frames of
one clip or burst), and the hashes in at most 12 bits.
Source: Barz and Denzler, "Do We Train on Test Data?", J. Imaging 6 (2020); Kapoor and Narayanan, "Leakage and the
reproducibility crisis", Patterns 4 (2023).
"""

from detray.audit.likeness import BURST, EXACT, NEAR
from detray.audit.rule import ERROR, LikenessRule

RULE = LikenessRule(
    code="split-leakage",
    family="image",
    severity=ERROR,
    scope="image",
    problem="the picture stands in another split, too",
    expected="splits that share no picture",
    fix="move all pictures of one scene into one split",
    doc=__doc__,
    kinds=(EXACT, NEAR, BURST),
    across_splits=True,
)

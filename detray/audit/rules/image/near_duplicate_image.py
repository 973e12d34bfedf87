"""A picture stands in a split more than once, resized, recompressed or slightly changed.

Failure: as with exact duplicates; there are fewer different examples than it seems.
Number: 64-bit difference hashes of two pictures of the split that differ in at most 3 bits, their files not equal
(those are exact-duplicate-image). Pictures without structure (fewer than 6 bits set, or not set) are not compared.
Each is found, with the nearest other. The confidence is the chance that a further bit would agree, by Laplace's rule of
succession: 65 less the bits that differ, over 66. It is never 1, as different pictures can have one hash.
Source: Krawetz, "Kind of Like That" (2013); Manku et al., WWW 2007, for the bands.
"""

from detray.audit.likeness import NEAR
from detray.audit.rule import SUSPECT, LikenessRule

RULE = LikenessRule(
    code="near-duplicate-image",
    family="image",
    severity=SUSPECT,
    scope="image",
    problem="nearly the same picture stands in the split again",
    expected="different pictures",
    fix="look at the two; keep one, or sample the sequence more thinly",
    doc=__doc__,
    kinds=(NEAR,),
    across_splits=False,
)

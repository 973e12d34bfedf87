"""The corners stand in the columns in another order: x, x2, y, y2.

Failure: whoever reads them as x, y, x2, y2 gets negative sides for a good part, which loaders drop, and wrong boxes for
the rest. Sides of images are not needed to tell.
Number: boxes that have an area as x, x2, y, y2, and those that have one as they are read. Told where from `min_boxes`
boxes on at least `min_wrong` have none as read and one in the other order, and hardly one (under 1%) is worse in it.
Where sizes of images are known box-format tells it, and other formats.
Source: keras-retinanet and Open Images' CSV have xmin, xmax, ymin, ymax.
"""

from collections.abc import Sequence

from detray.audit.pattern_counts import BOTH, NEITHER, SPREAD, STATED
from detray.audit.rule import ERROR, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.sides import WRONG_NUMBERS
from detray.audit.summary import Summary

MAX_WORSE = 0.01


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, tally in sorted(data.tallies.items()):
        seen = dict(zip(*(side.tolist() for side in tally.histogram("corner_order")), strict=True))
        stated, spread, both, neither = (seen.get(key, 0) for key in (STATED, SPREAD, BOTH, NEITHER))
        n = stated + spread + both + neither
        if n < limits["min_boxes"] or spread < limits["min_wrong"] * n or stated + neither >= MAX_WORSE * n:
            continue
        observed = f"{spread} of {n} boxes have an area only if their corners are read in the order x, x2, y, y2"
        explains = tuple(code for code in WRONG_NUMBERS if code != RULE.code)
        facts.append(Fact(split, observed, count=n, explains=explains))
    return facts


RULE = SummaryRule(
    code="column-order",
    family="pattern",
    severity=ERROR,
    scope="split",
    problem="the corners of its boxes stand in the order x, x2, y, y2",
    expected="x, y, x2, y2",
    fix="write the corners in the order of the format; do not drop the boxes without area",
    doc=__doc__,
    thresholds=(
        Threshold("min_wrong", 0.1, "of the boxes", 0.01, 1.0, "without an area as they are read"),
        Threshold("min_boxes", 20, "boxes", 5, 1e9, "fewer are not judged"),
    ),
    check=_check,
)

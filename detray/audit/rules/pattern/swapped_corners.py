"""Minimum and maximum of boxes are exchanged: xmin stands above xmax, or ymin above ymax.

Failure: somebody drew from the lower right to the upper left and the tool wrote down both points as they came. Such a
box has a negative side, so it counts as one without area: loaders drop or refuse it, and whoever cleans the data by
dropping it loses an object that is drawn rightly.
Number: boxes with a negative width or height that in the other order have an area and lie within their image (to 2 px),
of the classes for which most of them are as large as the other objects of the class (within an octave of its
1% and 99% quantiles of size; with under `min_objects` others every size is). Zero sides are no exchange.
Source: tensorflow/models#8595, bosch-ros-pkg/bstld#20, thtrieu/darkflow#151.
"""

from collections.abc import Sequence

from detray.audit.rule import ERROR, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.sides import EXCHANGED
from detray.audit.summary import Summary
from detray.audit.tally import BINS_PER_OCTAVE, Tally


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, tally in sorted(data.tallies.items()):
        found = tally.per_class("exchanged")
        fitting = {key: n for key, n in found.items() if _fits(tally, key, limits)}
        if fitting:
            count = sum(fitting.values())
            facts.append(
                Fact(
                    split,
                    f"in {count} of {tally.total('boxes')} boxes minimum and maximum are exchanged; in the other order"
                    " they lie within their images and are as large as the others of their class",
                    count=count,
                    explains=("degenerate-box",),
                    of_share=EXCHANGED,
                    of_classes=frozenset(fitting),
                )
            )
    return facts


def _fits(tally: Tally, category_id: int, limits: Limits) -> bool:
    """Whether most of a class's exchanged boxes are as large as its others."""
    if tally.per_class("size").get(category_id, 0) < limits["min_objects"]:
        return True
    low, high = tally.quantiles("size", category_id, (0.01, 0.99))
    if low is None or high is None:
        return True
    keys, n = tally.histogram("exchanged", category_id)
    sizes = 2.0 ** (keys / BINS_PER_OCTAVE)
    return bool(2 * n[(sizes >= low / 2) & (sizes <= 2 * high)].sum() >= n.sum())


RULE = SummaryRule(
    code="swapped-corners",
    family="pattern",
    severity=ERROR,
    scope="split",
    problem="corners of boxes are exchanged",
    expected="xmin below xmax and ymin below ymax",
    fix="exchange minimum and maximum of these boxes (detray clean does, as move); do not drop them",
    doc=__doc__,
    thresholds=(Threshold("min_objects", 20, "objects", 1, 1e9, "of the class, from which its sizes are compared"),),
    check=_check,
)

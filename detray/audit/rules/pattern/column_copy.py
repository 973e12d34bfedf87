"""One number of the boxes is a copy of another: ymax equals xmin in all of them.

Failure: an exporter wrote one column twice. Boxes come out without area, over the edge or all square, and none is where
the object is; each looks like a slip of its own.
Number: of x, y, x2, y2, width and height, as pixels and as shares of the image, two that are equal (to 1e-6, zeros and
boxes of the size 0 x 0 left out) in `min_share` of a split's boxes, from `min_boxes` boxes on. Their values must fall
into several classes of value, so that boxes that are all in one place are none; nor are squares on the diagonal.
Source: microsoft/VoTT#760, microsoft/VoTT#766.
"""

from collections.abc import Sequence

from detray.audit.pattern_counts import COLUMNS, PAIRS, VALUES
from detray.audit.rule import ERROR, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.sides import WRONG_NUMBERS
from detray.audit.summary import Summary
from detray.box_formats import FORMATS, OWN

MIN_VALUES = 4
"""Classes of value from which on a column is said to vary."""

CORNERS = {"x": "xmin", "y": "ymin", "x2": "xmax", "y2": "ymax"}
SIDES = {"x2": "x + width", "y2": "y + height"}
"""What the numbers are called in files of corners, and in others."""


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, tally in sorted(data.tallies.items()):
        n = tally.total("judged_copies")
        keys, counted = tally.histogram("copies")
        format_of = OWN.get(data.formats.get(split, ""))
        called = CORNERS if format_of is not None and FORMATS[format_of].kind == "corners" else SIDES
        for place, pair in enumerate(PAIRS):
            for kind, unit in enumerate(("", ", as shares of the image")):
                own = counted[keys // VALUES == 2 * place + kind]
                count = int(own.sum())
                if n < limits["min_boxes"] or len(own) < MIN_VALUES or count < limits["min_share"] * n:
                    continue
                copy, source = (called.get(COLUMNS[one], COLUMNS[one]) for one in pair)
                observed = f"{copy} equals {source}{unit} in {count} of {n} boxes"
                explains = (*WRONG_NUMBERS, "box-format")
                facts.append(Fact(split, observed, count=count, explains=explains, share=f"{copy} {source}"))
                break
    return facts


RULE = SummaryRule(
    code="column-copy",
    family="pattern",
    severity=ERROR,
    scope="split",
    problem="one column of the boxes is a copy of another",
    expected="numbers of their own",
    fix="export the boxes anew: what stood in the column is lost in this file",
    doc=__doc__,
    thresholds=(
        Threshold("min_share", 0.9, "of the boxes", 0.5, 1.0, "from this share on it is a copy"),
        Threshold("min_boxes", 20, "boxes", 5, 1e9, "fewer are not judged"),
    ),
    check=_check,
)

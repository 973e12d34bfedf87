"""Width and height of some images are exchanged, as their boxes show: no picture is needed.

Failure: a camera held upright, a tool that reads the picture without its EXIF orientation. Boxes lie over the edge,
loaders clip or drop them, and shares of the image come out distorted.
Number: images with a box that reaches over the edge by more than 8 px and a twentieth of the longer side, but all of
whose boxes lie within the image with its sides exchanged: at least `min_images`, and at least `min_share` of all images
with such a box. Where pictures are at hand size-mismatch proves it.
Source: EXIF 2.32, tag Orientation.
"""

from collections.abc import Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.sides import TURNED, n_exchanged
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, tally in sorted(data.tallies.items()):
        far, count = tally.total("far"), tally.total("turned")
        if count >= limits["min_images"] and count >= limits["min_share"] * far:
            proven = n_exchanged(data, split)
            observed = (
                f"{count} of {data.n_images(split)} images have boxes far over their edge, and all of them fit once"
                " width and height are exchanged" + (f"; {proven} pictures say so" if proven else "")
            )
            explains = ("out-of-bounds", "fully-outside", "size-mismatch")
            facts.append(Fact(split, observed, count=count, explains=explains, of_share=TURNED))
    return facts


RULE = SummaryRule(
    code="swapped-size",
    family="pattern",
    severity=WARNING,
    scope="split",
    problem="width and height of images are exchanged",
    fix="exchange width and height of these images; leave the boxes as they are",
    doc=__doc__,
    thresholds=(
        Threshold("min_share", 0.9, "of the images", 0.5, 1.0, "of those with boxes far over the edge"),
        Threshold("min_images", 5, "images", 1, 1e9, "fewer are not judged"),
    ),
    check=_check,
)

"""A class stands in few images.

Failure: too few examples to learn it from, or, in validation, to measure it: one image more or less moves its AP.
Number: images of the split with at least one box of the class, 1 to `max_images`.
Source: LVIS calls classes in at most 10 training images rare (Gupta et al., CVPR 2019).
"""

from collections.abc import Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, category_id, name in data.each_class():
        images, boxes = data.images[split].get(category_id, 0), data.boxes[split].get(category_id, 0)
        if 0 < images <= limits["max_images"]:
            observed = f"{boxes} boxes in {images} images"
            facts.append(Fact(split, observed, category_id=category_id, category_name=name, count=boxes))
    return facts


RULE = SummaryRule(
    code="few-examples",
    family="class",
    severity=WARNING,
    scope="class",
    problem="the class has few examples",
    fix="collect more, or oversample its images in training",
    doc=__doc__,
    thresholds=(Threshold("max_images", 10, "images", 1, 1e6, "classes in at most this many images have few"),),
    check=_check,
)

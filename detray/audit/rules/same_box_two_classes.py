"""Two boxes of different classes coincide.

Failure: the object has two labels. Whatever the model says, one of the two is missed and, with a loss that lets
classes compete, each teaches against the other.
Number: IoU of two boxes of one image and annotator and of different classes, at least `min_iou`. The later one in
the file is found, with the other as other_annotation_id.
Source: Open Images labels hierarchies (a person is also a woman) and its evaluation expands them; plain COCO
evaluation does not.
"""

from collections.abc import Sequence

from detray.audit.pairs import best_partners, coinciding
from detray.audit.rule import WARNING, Hits, Limits, RowRule, Threshold
from detray.audit.text import join, number
from detray.audit.view import View


def check(view: View, limits: Limits) -> Sequence[Hits]:
    first, second, iou = coinciding(view, limits["min_iou"])
    keep = (view.category_ids[first] != view.category_ids[second]) & (
        view.annotator_codes[first] == view.annotator_codes[second]
    )
    first, second, iou = best_partners(first[keep], second[keep], iou[keep], view.annotation_rows)
    return [Hits(second, observed=join("IoU ", number(iou, 3)), other=first)]


RULE = RowRule(
    code="same-box-two-classes",
    family="relation",
    severity=WARNING,
    scope="annotation",
    problem="a box of another class coincides with it",
    expected="one class for each object",
    fix="keep the right class; if both are meant, use a hierarchy that the evaluation knows",
    doc=__doc__,
    thresholds=(Threshold("min_iou", 0.95, "IoU", 0.5, 1.0, "from this overlap two boxes coincide"),),
    check=check,
)

"""Two boxes of different classes coincide.

Failure: the object has two labels. Whatever the model says, one of the two is missed and, with a loss that lets
classes compete, each teaches against the other.
Number: IoU of two boxes of one image and annotator and of different classes, at least `min_iou`. The later one in
the file is found, with the other as other_annotation_id.
Source: Open Images labels hierarchies (a person is also a woman) and its evaluation expands them; plain COCO
evaluation does not.
"""

from detray.audit.rule import WARNING, RowRule, Threshold
from detray.audit.rules.relation.coincidence import Coinciding

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
    check=Coinciding(same_class=False),
)

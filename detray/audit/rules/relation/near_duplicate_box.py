"""Two boxes of the same class nearly coincide.

Failure: the object was drawn twice. Non-maximum suppression leaves one detection, so the other box is always
missed; in training the object weighs double.
Number: IoU of two boxes of one image, class and annotator, at least `min_iou`, their corners not all equal (those are
duplicate-box). The later one in the file is found, with the other as other_annotation_id.
Source: Northcutt et al. and cleanlab's ObjectLab list it among label errors; COCO's NMS thresholds are at most 0.7.
"""

from detray.audit.rule import WARNING, RowRule, Threshold
from detray.audit.rules.relation.coincidence import Coinciding

RULE = RowRule(
    code="near-duplicate-box",
    family="relation",
    severity=WARNING,
    scope="annotation",
    problem="another box of the same class nearly coincides with it",
    expected="one box for each object",
    fix="drop one of the two",
    doc=__doc__,
    thresholds=(Threshold("min_iou", 0.9, "IoU", 0.5, 1.0, "from this overlap two boxes nearly coincide"),),
    check=Coinciding(same_class=True),
)

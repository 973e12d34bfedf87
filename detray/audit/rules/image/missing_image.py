"""The picture of an image entry is not in the stated image folder.

Failure: the loader stops there, or leaves the image out in silence together with its boxes.
Number: whether the file exists. Only where an image folder is stated.
Source: torchvision's CocoDetection and most loaders open file_name below the image folder, and raise there.
"""

from collections.abc import Sequence

from detray.audit.pictures import PictureView
from detray.audit.rule import ERROR, Hits, Limits, PictureRule


def _check(view: PictureView, limits: Limits) -> Sequence[Hits]:
    return [Hits(view.rows_with_problem("missing"), "images", observed="no such file")]


RULE = PictureRule(
    code="missing-image",
    family="image",
    severity=ERROR,
    scope="image",
    problem="its picture is not there",
    expected="a file in the image folder",
    fix="add the file, correct its name, or drop the image entry",
    doc=__doc__,
    check=_check,
)

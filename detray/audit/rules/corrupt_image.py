"""A picture does not decode whole.

Failure: a loader that checks stops there; one that does not (OpenCV among them) returns a picture whose rest is
grey, and the model learns boxes around nothing.
Number: the whole file is decoded, strictly; a picture that breaks off, is empty, is of no known format or declares
more pixels than can be decoded is found, with the reason.
Source: Pillow's strict decoding; cv2.imread returns a full picture from the first 900 bytes of a 640x480 JPEG.
"""

from collections.abc import Sequence

from detray.audit.pictures import PictureView
from detray.audit.rule import ERROR, Hits, Limits, PictureRule


def check(view: PictureView, limits: Limits) -> Sequence[Hits]:
    rows = view.rows_with_problem("corrupt")
    return [Hits(rows, "images", observed=view.problems(rows))]


RULE = PictureRule(
    code="corrupt-image",
    family="image",
    severity=ERROR,
    scope="image",
    problem="its picture does not decode",
    expected="a picture that decodes whole",
    fix="copy the file again from its origin, or drop the image entry",
    doc=__doc__,
    check=check,
)

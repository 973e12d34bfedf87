"""A picture does not decode whole.

Failure: a loader that checks stops there; one that does not (OpenCV among them) returns a picture whose rest is
grey, and the model learns boxes around nothing.
Number: the whole file is decoded, strictly; a picture that breaks off, is empty, or is of no known format is
found, with the reason. Of a JPEG the markers within its data are checked; bytes overwritten without one decode to
other pixels, which no decoder can tell. A picture that declares more pixels than are decoded (89 million) is only
a warning: it may be whole.
Source: Pillow's strict decoding; cv2.imread returns a full picture from the first 900 bytes of a 640x480 JPEG.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from detray.audit.pictures import PictureView
from detray.audit.rule import ERROR, WARNING, Hits, Limits, PictureRule


def _check(view: PictureView, limits: Limits) -> Sequence[Hits]:
    rows = view.rows_with_problem("corrupt")
    problems = view.problems(rows)
    too_large = pc.fill_null(pc.starts_with(problems, "too_large"), False).to_numpy(zero_copy_only=False)
    return [Hits(rows, "images", observed=problems, severity=np.where(too_large, WARNING, ERROR).astype(np.int8))]


RULE = PictureRule(
    code="corrupt-image",
    family="image",
    severity=ERROR,
    scope="image",
    problem="its picture does not decode",
    expected="a picture that decodes whole",
    fix="copy the file again from its origin, or drop the image entry",
    doc=__doc__,
    check=_check,
)

"""A picture is not as large as its annotation file says.

Failure: boxes are drawn at the stated size, so on the real picture they sit elsewhere, all of them; tools that
normalise boxes by the stated size distort them.
Number: stated width and height against those of the picture as displayed (EXIF orientation applied). Where the two
are only swapped, and EXIF says so, it is exif-rotation; where EXIF does not, the finding says that they are exchanged.
Source: COCO's and Pascal VOC's width and height are those of the picture; conversions divide by them.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.audit.pictures import PictureView
from detray.audit.rule import ERROR, Hits, Limits, PictureRule
from detray.audit.rules.sides import TURNED
from detray.audit.text import join, number


def _check(view: PictureView, limits: Limits) -> Sequence[Hits]:
    stated, real = view.stated_sizes, view.real_sizes
    differ = (stated != real).any(axis=1) & ~np.isnan(stated).any(axis=1) & view.is_decoded
    rows = np.flatnonzero(differ & ~view.is_turned)
    exchanged = pa.array((stated[rows] == real[rows][:, ::-1]).all(axis=1))
    size = join(number(real[rows, 0]), " x ", number(real[rows, 1]), " px")
    return [
        Hits(
            rows,
            "images",
            observed=pc.if_else(exchanged, join(size, f": {TURNED}"), size),
            expected=join(number(stated[rows, 0]), " x ", number(stated[rows, 1]), " px as stated"),
            share=pc.if_else(exchanged, TURNED, pa.scalar(None, pa.string())),
        )
    ]


RULE = PictureRule(
    code="size-mismatch",
    family="image",
    severity=ERROR,
    scope="image",
    problem="the picture has another size than stated",
    fix="write the real size, and scale the boxes if they were drawn at the other",
    doc=__doc__,
    check=_check,
)

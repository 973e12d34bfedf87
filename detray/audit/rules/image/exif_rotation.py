"""EXIF turns a picture, and the annotation may not know.

Failure: viewers and some loaders apply the EXIF orientation, others (OpenCV with IMREAD_UNCHANGED, TensorFlow's
decoders) do not; boxes drawn on one and used on the other lie beside their objects.
Number: the EXIF orientation. A warning where the stated size is that before a quarter turn, so that the boxes were
probably drawn on the picture as stored; else, where it is not 1, only noted.
Source: EXIF 2.32, tag 0x0112; boxes are taken to be in pixels of the picture as displayed.
"""

from collections.abc import Sequence

import numpy as np

from detray import tables
from detray.audit.pictures import PictureView
from detray.audit.rule import INFO, WARNING, Hits, Limits, PictureRule
from detray.audit.text import integer, join


def _check(view: PictureView, limits: Limits) -> Sequence[Hits]:
    orientation = tables.numpy(view.stats, "exif_orientation", 1)
    rows = np.flatnonzero((orientation != 1) & view.is_decoded)
    severity = np.where(view.is_turned[rows], WARNING, INFO).astype(np.int8)
    return [Hits(rows, "images", observed=join("orientation ", integer(orientation[rows])), severity=severity)]


RULE = PictureRule(
    code="exif-rotation",
    family="image",
    severity=WARNING,
    scope="image",
    problem="the picture is turned by EXIF",
    expected="pictures stored as they are displayed",
    fix="store the picture turned and without the tag, and check its boxes on it",
    doc=__doc__,
    check=_check,
)

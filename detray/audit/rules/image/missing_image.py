"""The picture of an image entry is not in the stated image folder, or not in its TFRecord.

Failure: the loader stops there, or leaves the image out in silence together with its boxes.
Number: whether the file exists, and whether a record's image/encoded is there and not empty. Only where an image
folder is stated, or records could hold the pictures. Where a file is not there, what may be meant is looked for in its
folder: the same name in another case, the same stem with another suffix, the stem of the XML file; and the last part of
the path in the folders above.
Source: torchvision's CocoDetection and most loaders open file_name below the image folder, and raise there; TF Object
Detection API, object_detection/data_decoders/tf_example_decoder.py decodes image/encoded.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from detray.audit.pictures import PictureView
from detray.audit.rule import ERROR, Hits, Limits, PictureRule


def _check(view: PictureView, limits: Limits) -> Sequence[Hits]:
    rows = view.rows_with_problem("missing")
    said = pc.replace_substring_regex(view.problems(rows), "^missing(: )?", "")
    is_plain = pc.equal(said, "")
    kind = pc.replace_substring_regex(said, ": .*$", "")
    share = pc.if_else(is_plain, pa.scalar(None, pa.string()), kind)
    return [Hits(rows, "images", observed=pc.if_else(is_plain, "no such file", said), share=share)]


RULE = PictureRule(
    code="missing-image",
    family="image",
    severity=ERROR,
    scope="image",
    problem="its picture is not there",
    expected="a file in the image folder, or in a TFRecord its bytes as image/encoded",
    fix="add the file (to a record: its bytes), correct its name, or drop the image entry",
    doc=__doc__,
    check=_check,
)

"""Several images of one split name the same file.

Failure: the same picture counts several times, and where its entries carry different boxes each entry is missing
the boxes of the others: detections that are right count as false.
Number: image entries of one split with an equal file_name; each of them is found.
Source: merged COCO files; COCO's data format has one image entry a picture.
"""

import numpy as np
import pyarrow.compute as pc

from detray.arrays import Ints, Rows
from detray.audit.rule import WARNING, CollisionRule, Hits, Keys
from detray.audit.text import hash_text, integer, join, mix
from detray.audit.view import View


def _keys(view: View) -> Keys:
    rows = np.flatnonzero(pc.is_valid(view.images["file_name"]).to_numpy())
    return Keys(rows, mix(hash_text(view.split), view.file_name_hashes[rows]))


def _describe(view: View, rows: Rows, n: Ints) -> Hits:
    return Hits(rows, "images", observed=join(integer(n), " entries"))


RULE = CollisionRule(
    code="duplicate-file-name",
    family="identity",
    severity=WARNING,
    scope="image",
    problem="several image entries name this file",
    expected="one entry for each picture",
    fix="merge the entries and their annotations",
    doc=__doc__,
    keys=_keys,
    describe=_describe,
)

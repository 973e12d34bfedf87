"""Several images of one split carry the same id.

Failure: their annotations run together: boxes of one picture are drawn on another, and all but one of the
pictures are never seen.
Number: image entries of one split with an equal id; each of them is found.
Source: pycocotools/coco.py, createIndex (imgs[img['id']] = img).
"""

import numpy as np

from detray.arrays import Ints, Rows
from detray.audit.rule import ERROR, CollisionRule, Hits, Keys
from detray.audit.text import hash_text, integer, join, mix
from detray.audit.view import NO_ID, View


def _keys(view: View) -> Keys:
    rows = np.flatnonzero(view.own_image_ids != NO_ID)
    return Keys(rows, mix(hash_text(view.split), view.own_image_ids[rows]))


def _describe(view: View, rows: Rows, n: Ints) -> Hits:
    return Hits(rows, "images", observed=join("id ", integer(view.own_image_ids[rows]), " on ", integer(n), " images"))


RULE = CollisionRule(
    code="duplicate-image-id",
    family="identity",
    severity=ERROR,
    scope="image",
    problem="its image id is not its own",
    expected="an id of its own for each image",
    fix="number the images anew and carry the new ids over to their annotations",
    doc=__doc__,
    keys=_keys,
    describe=_describe,
)

"""Several annotations of one file carry the same id.

Failure: tools keep annotations in a dictionary by id, so one of them silently stands for all: pycocotools reads
the last one twice and the others never. TACO has two such pairs (309 and 4040).
Number: annotations of one file with an equal id; each of them is found, by its place in the file.
Source: pycocotools/coco.py, createIndex (anns[ann['id']] = ann); TACO (http://tacodataset.org).
"""

import numpy as np

from detray.arrays import Ints, Rows
from detray.audit.rule import ERROR, CollisionRule, Hits, Keys
from detray.audit.text import hash_text, hash_texts, integer, join, mix
from detray.audit.view import NO_ID, View


def _keys(view: View) -> Keys:
    rows = np.flatnonzero(view.annotation_ids != NO_ID)
    source = hash_texts(view.annotations["source_file"])[rows]
    return Keys(rows, mix(hash_text(view.split), source, view.annotation_ids[rows]))


def _describe(view: View, rows: Rows, n: Ints) -> Hits:
    return Hits(rows, observed=join("id ", integer(view.annotation_ids[rows]), " on ", integer(n), " annotations"))


RULE = CollisionRule(
    code="duplicate-annotation-id",
    family="identity",
    severity=ERROR,
    scope="annotation",
    problem="its id is not its own",
    expected="an id of its own for each annotation",
    fix="number the annotations anew",
    doc=__doc__,
    keys=_keys,
    describe=_describe,
)

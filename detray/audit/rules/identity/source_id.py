"""Records of a split have one image/source_id, or none.

Failure: evaluators key pictures by it. Of pictures with the same one the TF Object Detection API keeps the first and
leaves out the others, with a warning in its log: a split may count as one picture, and its AP is that of this one.
Number: TFRecords of one split with an equal image/source_id, an absent one being an empty one; fatal from 10 on, else
an error.
Source: TF Object Detection API, object_detection/metrics/coco_evaluation.py ("Ignoring ground truth with image id");
tf_example_decoder.py reads an absent one as empty. An empty one is a random number to newer inputs.py, and stays
empty in older ones and in the offline evaluation (metrics/tf_example_parser.py).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Ints, Rows
from detray.audit.rule import ERROR, FATAL, CollisionRule, Hits, Keys
from detray.audit.text import hash_text, hash_texts, integer, join, mix
from detray.audit.view import View
from detray.files import RECORD

MANY = 10
"""Records with one source_id from which the finding is fatal."""

_STATED = r'"image/source_id": (?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<number>-?[0-9]+))'


def _ids(view: View) -> tuple[Rows, pa.Array]:
    """Images that records hold, and the source_id of each; empty where there is none."""
    attributes = pc.fill_null(view.images["attributes"].combine_chunks(), "")
    own = pc.starts_with(view.images["path"].combine_chunks(), RECORD)
    rows = np.flatnonzero(pc.or_(pc.fill_null(own, False), pc.match_substring(attributes, "image/source_id")))
    found = pc.extract_regex(attributes.take(pa.array(rows)), _STATED)
    stated = join(found.field("text"), found.field("number"))
    return rows, pc.if_else(found.is_valid(), stated, "")


def _keys(view: View) -> Keys:
    rows, ids = _ids(view)
    return Keys(rows, mix(hash_text(view.split), hash_texts(ids)) if len(rows) else np.zeros(0, np.uint64))


def _describe(view: View, rows: Rows, n: Ints) -> Hits:
    own, ids = _ids(view)
    mine = ids.take(pa.array(np.searchsorted(own, rows)))
    stated = pc.if_else(pc.equal(mine, ""), "no image/source_id", join("image/source_id ", mine))
    severity = np.where(n >= MANY, FATAL, ERROR).astype(np.int8)
    more = pc.if_else(pc.equal(mine, ""), "; only newer input readers make one up", "")
    said = join(stated, " in ", integer(n), " records", more)
    return Hits(rows, "images", observed=said, severity=severity, share=said)


RULE = CollisionRule(
    code="source-id",
    family="identity",
    severity=FATAL,
    scope="image",
    problem="its record has no source_id of its own, and evaluators take all with the same for one picture",
    expected="another image/source_id in each record",
    fix="write the picture's name or number into image/source_id",
    doc=__doc__,
    keys=_keys,
    describe=_describe,
)

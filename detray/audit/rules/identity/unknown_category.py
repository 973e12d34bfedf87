"""An annotation names a class that the list of classes does not have.

Failure: evaluators go through the listed classes only, so the box is ignored; trainers crash on the index, or map
it to another class.
Number: category_id of the annotation among those that the split's files list; where they list none (Pascal VOC, Open
Images, TFRecord), among the label map's. All rows with one unknown class share a root.
Source: pycocotools/cocoeval.py takes its classes from the category list (params.catIds = getCatIds()).
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.audit.rule import ERROR, Hits, Limits, RowRule
from detray.audit.text import integer, join
from detray.audit.view import NO_ID, View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero((view.category_ids != NO_ID) & ~view.has_known_class)
    ids = integer(view.category_ids[rows])
    names = view.names(view.annotations["category_id"].combine_chunks().take(pa.array(rows)))
    text = pc.if_else(names.is_valid(), join("class ", names), join("category id ", ids))
    return [Hits(rows, observed=text, share=text)]


RULE = RowRule(
    code="unknown-category",
    family="identity",
    severity=ERROR,
    scope="annotation",
    problem="its class is not in the list of classes",
    expected="the id of a listed class",
    fix="add the class to the category list, or map the id to a listed one",
    doc=__doc__,
    check=_check,
)

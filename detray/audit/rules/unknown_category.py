"""An annotation names a class that the category list does not have.

Failure: evaluators go through the listed classes only, so the box is ignored; trainers crash on the index, or map
it to another class.
Number: category_id of the annotation among the split's own categories. All rows with one unknown id share a root.
Source: pycocotools/cocoeval.py takes its classes from the category list (params.catIds = getCatIds()).
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import ERROR, Hits, Limits, RowRule
from detray.audit.text import integer, join
from detray.audit.view import NO_ID, View


def check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero((view.category_ids != NO_ID) & ~view.has_known_class)
    text = join("category id ", integer(view.category_ids[rows]))
    return [Hits(rows, observed=text, share=text)]


RULE = RowRule(
    code="unknown-category",
    family="identity",
    severity=ERROR,
    scope="annotation",
    problem="its class is not in the category list",
    expected="the id of a listed class",
    fix="add the class to the category list, or map the id to a listed one",
    doc=__doc__,
    check=check,
)

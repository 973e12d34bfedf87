"""An annotation names a class that the list of classes does not have.

Failure: evaluators go through the listed classes only, so the box is ignored; trainers crash on the index, or map
it to another class.
Number: category_id of the annotation among those that the split's files list; where they list none (Pascal VOC, Open
Images, TFRecord), among the label map's. All rows with one unknown class share a root, which
names the listed class that is spelt nearly so, or has the name under another id.
Source: pycocotools/cocoeval.py takes its classes from the category list (params.catIds = getCatIds()).
"""

import difflib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.audit.rule import ERROR, Hits, Limits, RowRule
from detray.audit.text import integer, join
from detray.audit.view import NO_ID, View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    rows = np.flatnonzero((view.category_ids != NO_ID) & ~view.has_known_class)
    ids = integer(view.category_ids[rows])
    names = view.names(view.annotations["category_id"].combine_chunks().take(pa.array(rows)))
    text = pc.if_else(names.is_valid(), join("class ", names, _nearest(view, names)), join("category id ", ids))
    return [Hits(rows, observed=text, share=text)]


def _nearest(view: View, names: pa.Array) -> pa.Array:
    """For each name which listed one is spelt nearly so, in words; empty without."""
    listed = tables.listed_classes(view.categories).filter(pc.field("category_name").is_valid())
    ids = dict(zip(listed["category_name"].to_pylist(), listed["category_id"].to_pylist(), strict=True))
    known = {name.casefold(): name for name in reversed(list(ids))}
    found = {}
    for name in pc.unique(names).drop_null().to_pylist()[:MAX_COMPARED]:
        near = difflib.get_close_matches(name.casefold(), known, 1, LIKENESS)
        found[name] = f"; the nearest listed one is {known[near[0]]}" if near else ""
        if name in ids:
            found[name] = f"; the list has it under another id, {ids[name]}"
    said = pa.table({"name": list(found), "words": list(found.values())})
    return (
        pc.fill_null(tables.lookup(names, said, "name", "words"), "")
        if found
        else pa.array([""] * len(names), pa.string())
    )


MAX_COMPARED = 200
"""Unknown names that are compared with the list."""
LIKENESS = 0.6
"""Ratcliff and Obershelp's ratio of two names from which one may be meant by the other, as difflib's default."""


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

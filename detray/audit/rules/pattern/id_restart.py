"""Annotation ids start anew in each image.

Failure: a tool numbered the boxes of each picture from 0 or 1. Tools that keep annotations in a dictionary by id hold
as many as the fullest image has: pycocotools then scores one box again and again, and AP is near 0.
Number: annotations that share their id (duplicate-annotation-id), where in `min_share` of at least 3 images with
annotations the lowest id is 0, or in so many 1.
Source: cvat-ai/cvat#679; pycocotools/coco.py, createIndex (anns[ann['id']] = ann).
"""

from collections.abc import Sequence

import pyarrow.compute as pc

from detray.audit.rule import ERROR, Fact, Limits, SummaryRule, Threshold
from detray.audit.summary import Summary

MIN_IMAGES = 3
EXPLAINS = ("duplicate-annotation-id", "annotation-id-zero")


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, tally in sorted(data.tallies.items()):
        keys, n = tally.histogram("first_id")
        first = next((key for key in (0, 1) if n[keys == key].sum() >= limits["min_share"] * n.sum()), None)
        mine = pc.and_(pc.equal(data.groups["split"], split), pc.equal(data.groups["rule"], EXPLAINS[0]))
        count = pc.sum(data.groups.filter(mine)["n"]).as_py() or 0
        if count and n.sum() >= MIN_IMAGES and first is not None:
            again = int(n[keys == first].sum())
            observed = f"ids start at {first} in {again} of {int(n.sum())} images; {count} boxes share theirs"
            facts.append(Fact(split, observed, count=count, explains=EXPLAINS))
    return facts


RULE = SummaryRule(
    code="id-restart",
    family="pattern",
    severity=ERROR,
    scope="split",
    problem="annotation ids start anew in each image",
    expected="an id of its own for each annotation of a file",
    fix="number the annotations through from 1 (detray clean does)",
    doc=__doc__,
    thresholds=(Threshold("min_share", 0.9, "of the images", 0.5, 1.0, "in which ids start alike"),),
    check=_check,
)

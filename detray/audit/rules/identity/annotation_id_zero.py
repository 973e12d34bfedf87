"""An annotation has the id 0.

Failure: pycocotools stores the id of the matched box and takes 0 for 'no match', so a right detection of this
box counts as false.
Number: annotation_id = 0.
Source: pycocotools/cocoeval.py: dtm holds the matched ground truth id, and accumulate tests it for truth
(https://github.com/cocodataset/cocoapi/issues/332). detray's own evaluation is not affected.
"""

from collections.abc import Sequence

import numpy as np

from detray.audit.rule import ERROR, Hits, Limits, RowRule
from detray.audit.view import View


def _check(view: View, limits: Limits) -> Sequence[Hits]:
    return [Hits(np.flatnonzero(view.annotation_ids == 0), observed="id 0")]


RULE = RowRule(
    code="annotation-id-zero",
    family="identity",
    severity=ERROR,
    scope="annotation",
    problem="pycocotools counts a match with annotation id 0 as false",
    expected="ids from 1",
    fix="number the annotations from 1",
    doc=__doc__,
    check=_check,
)

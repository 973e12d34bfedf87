"""What the rules on boxes that coincide share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detray.audit.pairs import best_partners, coinciding
from detray.audit.rule import Hits, Limits
from detray.audit.text import join, number
from detray.audit.view import View


@dataclass(frozen=True)
class Coinciding:
    """A rule's check: pairs of one image and annotator, of the same class (and not quite equal) or of two classes.

    The later one in the file is found, with the one it overlaps most as the other.
    """

    same_class: bool

    def __call__(self, view: View, limits: Limits) -> Sequence[Hits]:
        first, second, iou = coinciding(view, limits["min_iou"])
        keep = view.annotator_codes[first] == view.annotator_codes[second]
        keep &= (view.category_ids[first] == view.category_ids[second]) == self.same_class
        if self.same_class:
            keep &= np.any(view.boxes[first] != view.boxes[second], axis=1)  # equal ones are duplicate-box
        first, second, iou = best_partners(first[keep], second[keep], iou[keep], view.annotation_rows)
        return [Hits(second, observed=join("IoU ", number(iou, 3)), other=first)]

"""Names that are wrong in one split: there the same model takes a class for another, or sits on its boxes, alone."""

from dataclasses import dataclass, replace

import numpy as np

from detray.arrays import Flags
from detray.diagnose.criterion import REASONED, Criterion
from detray.diagnose.evidence.confusion import dominant_class
from detray.diagnose.evidence.sides import TOLD_BY, Side, Sides, count, is_far_above
from detray.diagnose.observation.rows import HIT_IOU, ON_OTHER

CONTRADICTED = Criterion(0.2, f"share of boxes, or of sure detections, above that of the other split: {REASONED}")
CONTRADICTED_OF_ALL = Criterion(0.12, f"share of all boxes of the class, as it would be: {REASONED}")
SURE_QUANTILE = Criterion(0.25, f"share of the true detections of the other split below which none is sure: {REASONED}")
ONE_SPLIT = Criterion(3, f"times the share in the other split: what looks alike is mixed up in both: {REASONED}")


@dataclass(frozen=True)
class Contradicted:
    """Rows of a class in one split that contradict its labels: ``rows`` of the ``of`` that are looked at."""

    rows: Flags
    of: int
    iou: float
    """Median, with what contradicts them; 0 without any."""

    @property
    def n(self) -> int:
        return count(self.rows)


@dataclass(frozen=True)
class Renamed:
    """The labels of ``side`` are wrong between the class and ``category``, an id of the evaluated split.

    Attributes:
        own, usual: what contradicts the labels there, and in the other split.
        is_covered: boxes of the class are covered by detections of the other one; else its detections sit on boxes
            of that.
        of_partner: of these boxes it is told by how many of the other one's detections cover them.
    """

    side: Side
    other: Side
    category: int
    own: Contradicted
    usual: Contradicted
    is_covered: bool
    of_partner: bool = False


def find_renamed(sides: Sides, category: int) -> Renamed | None:
    """The split in which names of the class are wrong; None where neither's are."""
    accused = _accused(sides)
    for side, other in sides.both_ways():
        # boxes of another class, met by weak detections of this one, make its true scores low here
        for is_covered in (True, False) if side.split in accused else (True,):
            found = _renamed(side, other, category, is_covered=is_covered)
            if found is not None:
                return found
    for side, other in sides.both_ways():  # few boxes of a common class may be most of what a rare one had
        found = _renamed(side, other, category, is_covered=True, of_partner=True)
        if found is not None and side.split in _accused(sides, found.category):
            return found
    return None


def _accused(sides: Sides, category: int | None = None) -> list[str]:
    return [side.split for side, _ in sides.to_accuse(category)]


def _renamed(side: Side, other: Side, category: int, *, is_covered: bool, of_partner: bool = False) -> Renamed | None:
    boxes, rows = side.result.boxes, side.result.detections
    if is_covered:
        floors = np.array([_floor(other, side.own_id(int(k))) for k in boxes.cover_category])
        taken = boxes.cover_category[np.nan_to_num(boxes.cover_score, nan=-1.0) >= floors]
    else:
        sitting = side.result.outcomes(ON_OTHER) & (rows.other_iou >= HIT_IOU) & (rows.score >= _floor(other, category))
        taken = rows.other_category[sitting]
    partner = dominant_class(taken)
    known = None if partner is None else side.own_id(partner)
    if known is None or known not in other.ids:
        return None
    floor = _floor(other, known if is_covered else category)
    look = _covered if is_covered else _sitting
    own, usual = look(side, side.ids[known], floor), look(other, other.ids[known], floor)
    if of_partner:
        own, usual = _of_partner(side, known, floor, own), _of_partner(other, known, floor, usual)
    if own.n < TOLD_BY or own.iou < HIT_IOU or not is_far_above(own.n, own.of, usual.n, usual.of, CONTRADICTED):
        return None
    is_rare = own.n < CONTRADICTED_OF_ALL * (side.result.n_boxes + (0 if is_covered else own.n))
    if is_rare or own.n / own.of < ONE_SPLIT * usual.n / usual.of:
        return None
    return Renamed(side, other, known, own, usual, is_covered, of_partner)


def _floor(other: Side, category: int | None) -> float:
    """The score from which detections of a class of the evaluated split are sure; infinite where too few tell it."""
    scores = None if category is None else other.scores_of(category)
    floor = None if scores is None else scores.quantile(SURE_QUANTILE)
    return np.inf if floor is None else floor


def _covered(side: Side, category: int, floor: float) -> Contradicted:
    """Boxes of the class under a sure detection of ``category``."""
    boxes = side.result.boxes
    rows = (boxes.cover_category == category) & (np.nan_to_num(boxes.cover_score, nan=-1.0) >= floor)
    return Contradicted(rows, len(boxes), float(np.median(boxes.cover_iou[rows])) if rows.any() else 0.0)


def _of_partner(side: Side, category: int, floor: float, covered: Contradicted) -> Contradicted:
    """The same boxes as a share of the sure detections of ``category``, those that are true beside them."""
    true = side.scores_of(category)
    return replace(covered, of=covered.n + (0 if true is None else int(true.above(floor))))


def _sitting(side: Side, category: int, floor: float) -> Contradicted:
    """Sure detections of the class on boxes of ``category``."""
    found = side.result.detections
    sure = found.score >= floor
    rows = side.result.outcomes(ON_OTHER) & sure & (found.other_category == category) & (found.other_iou >= HIT_IOU)
    of = count(rows) + count(side.result.true & sure)
    return Contradicted(rows, of, float(np.median(found.other_iou[rows])) if rows.any() else 0.0)

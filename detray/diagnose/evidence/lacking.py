"""Labels that one split lacks: the same model finds as much there as in the other, beside fewer boxes."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags
from detray.diagnose.criterion import REASONED, Criterion
from detray.diagnose.evidence.chance import CHANCE_ERRORS
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.sides import TOLD_BY, Side, Sides, count, errors_apart, is_far_above
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.counts import FEW_BOXES
from detray.diagnose.observation.rows import BACKGROUND, first_of_each_place

LACKING_SHARE = Criterion(
    0.3, f"of the boxes that the detections of a split stand for, those that it lacks: {REASONED}"
)
THINNER = Criterion(0.25, f"boxes an image for each in the other split, where detections are as many: {REASONED}")
AS_MANY = Criterion(0.75, f"detections an image for each in the other split: {REASONED}")
OTHERS_ALIKE = Criterion(1.5, f"times the other split's boxes an image, of all other classes: {REASONED}")
BARE_MORE = Criterion(0.25, f"share of sure detections without a box above that of the other split: {REASONED}")


@dataclass(frozen=True)
class Lacking:
    """Labels are missing in the split ``side``, held against ``other``.

    Attributes:
        floor: the median score of the true detections of ``other``, from which detections count.
        bare: the detections of ``side``, ``[m]``, that score so high where no box stands, one a place.
        n_bare, n_sure: how many these are, and with the true ones; of ``other`` the same.
        expected: boxes that ``side`` would have, had it as many for each such detection as ``other``, and were such
            detections without a box, beyond what ``other`` has of them an image, objects.
    """

    side: Side
    other: Side
    floor: float
    bare: Flags
    n_bare: int
    n_sure: int
    other_bare: int
    other_sure: int
    expected: float
    by_number: bool = False
    """Told by the numbers of detections and boxes alone, of a model that hardly knows the class."""

    @property
    def share(self) -> float:
        """The share of the boxes that are missing."""
        return 1 - self.side.result.n_boxes / self.expected

    @property
    def errors(self) -> float:
        """Standard errors by which detections without a box are more than in the other split."""
        return errors_apart(self.n_bare, self.n_sure, self.other_bare, self.other_sure)


def find_lacking(sides: Sides) -> Lacking | None:
    """The split that lacks labels of the class; None where neither does."""
    found = [lacking for side, other in sides.to_accuse() if (lacking := _lacking(side, other)) is not None]
    best = max(found, key=lambda one: one.errors, default=None)
    return _thinned(sides.train, sides.evaluated) if best is None else best


def _thinned(side: Side, other: Side) -> Lacking | None:
    """As many detections in training, of whatever kind, beside a quarter of the boxes or less; and of all other
    classes as many boxes as here."""
    floor = other.middle or 0.0
    n, m = (_n_scoring(each, floor) for each in (side, other))
    if not side.n_images or not other.n_images or not other.result.n_boxes or min(n, m) < FEW_BOXES:
        return None
    images = side.n_images / other.n_images
    rest, rest_there = (sum(each.counts.boxes.values()) - each.result.n_boxes for each in (other, side))
    are_alike = rest > 0 and 1 / OTHERS_ALIKE <= rest_there / (rest * images) <= OTHERS_ALIKE
    boxes, expected = side.result.n_boxes, other.result.n_boxes * images
    is_thin = boxes <= THINNER * expected and expected - boxes >= CHANCE_ERRORS * np.sqrt(expected)
    if not (are_alike and is_thin) or n < AS_MANY * m * images:
        return None
    bare, there = (_sure(each.result, floor)[0] for each in (side, other))
    return Lacking(side, other, floor, bare, count(bare), n, count(there), m, expected, by_number=True)


def _lacking(side: Side, other: Side) -> Lacking | None:
    floor = other.middle
    if floor is None or not other.n_images:
        return None
    (bare, n_true), (other_bare, other_true) = (_sure(each.result, floor) for each in (side, other))
    n, m = count(bare), count(other_bare)
    if n < TOLD_BY or not is_far_above(n, n + n_true, m, m + other_true, BARE_MORE):
        return None
    chance = side.n_images / max(side.n_images + other.n_images, 1)
    spread = np.sqrt((n + m) * chance * (1 - chance))
    if not other_true or n - (n + m) * chance < CHANCE_ERRORS * spread:
        return None  # an image holds no more of them than where labels are complete
    beyond = (n - m * side.n_images / other.n_images) * other.result.n_boxes / other_true
    every, every_there = (_n_scoring(each, floor) for each in (side, other))
    expected = min(other.result.n_boxes / every_there * every, side.result.n_boxes + beyond)
    found = Lacking(side, other, floor, bare, n, n + n_true, m, m + other_true, expected)
    return found if found.share >= LACKING_SHARE else None


def _n_scoring(side: Side, floor: float) -> int:
    """Detections from a score on, whatever they are."""
    rows = side.result.detections
    return count(rows.kept & (rows.score >= floor))


def _sure(result: ClassResult, floor: float) -> tuple[Flags, int]:
    """Detections from a score on where no box stands, one a place; and how many true ones score so high."""
    rows = result.detections
    sure = np.flatnonzero(result.outcomes(BACKGROUND) & (rows.score >= floor))
    bare = np.zeros(len(rows), np.bool_)
    bare[sure[first_of_each_place(take(rows, sure))]] = True
    return bare, count(result.true_scores >= floor)

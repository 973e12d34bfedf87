"""Whether a class's boxes are lost by their size: the small ones, or the large ones."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.boxes import BoxEvidence
from detray.diagnose.observation.counts import MIN_HITS

SIZE_LOST_SHARE = Criterion(0.25, f"share of the boxes that nothing touches: {SUITE}")
SIZE_AUC = Criterion(0.75, f"chance that size tells a found box from a lost one: {SUITE}")
SIZE_ERRORS = Criterion(2.5, "standard errors by which it must lie above chance: six false calls in a thousand")
SIZE_RECALL_GAP = Criterion(0.4, f"recall on one side of a size above that on the other: {SUITE}")


@dataclass(frozen=True)
class SizeBorder:
    """The side in pixels that parts lost boxes from found ones best, and how well."""

    auc: float
    border: float
    recall_small: float
    """Of the boxes up to it."""
    recall_large: float


def lost_share(boxes: BoxEvidence) -> float | None:
    """The share of the boxes with an area that nothing touches; None where they are too few to be judged by size."""
    n, n_met = boxes.n_lost, int(boxes.met.sum())
    share = n / max(n + n_met, 1)
    return share if n >= MIN_HITS and share >= SIZE_LOST_SHARE else None


def is_comparable(boxes: BoxEvidence) -> bool:
    """Whether enough boxes are met for their sizes to be compared with those of lost ones."""
    return boxes.size_auc is not None and int(boxes.met.sum()) >= MIN_HITS


def find_border(boxes: BoxEvidence, *, lost_are_large: bool) -> SizeBorder | None:
    """The size beyond which boxes are lost; None where size does not tell which are."""
    auc, told_of = boxes.size_auc, boxes.lost | boxes.met
    if auc is None:
        return None
    value = 1 - auc.value if lost_are_large else auc.value
    if value < SIZE_AUC or value - 0.5 < SIZE_ERRORS * auc.error:
        return None
    # of what is cut off at the lower end few are hit, and of the rest many
    size, hit = boxes.sizes[told_of], boxes.met[told_of]
    border, low, high = _border(size, ~hit if lost_are_large else hit)
    small, large = (1 - low, 1 - high) if lost_are_large else (low, high)
    return SizeBorder(value, border, small, large) if high - low >= SIZE_RECALL_GAP else None


def _border(size: Floats, hit: Flags) -> tuple[float, float, float]:
    """The size that parts found from missed boxes best (Youden, 1950): it, recall up to it and above."""
    order = np.argsort(size, kind="stable")
    n_hit = np.cumsum(hit[order])
    n = np.arange(1, len(size))
    below, above = n_hit[:-1] / n, (n_hit[-1] - n_hit[:-1]) / (len(size) - n)
    best = int((above - below).argmax())
    return float(size[order][best]), float(below[best]), float(above[best])

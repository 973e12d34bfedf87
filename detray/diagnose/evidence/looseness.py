"""Boxes that one split has drawn loosely: the same model's detections fit those of the other better."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats
from detray.diagnose.criterion import REASONED, Criterion
from detray.diagnose.evidence.chance import CHANCE_ERRORS, Auc
from detray.diagnose.evidence.reference import CONFIDENT_QUANTILE
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.sides import AS_SURE_AUC, EVALUATED, Side, Sides
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.counts import FEW_BOXES, MIN_HITS
from detray.diagnose.observation.rows import COVERED, NONE

LARGER = Criterion(1.1, f"sides of a box for each of its detection, by what they are in the other split: {REASONED}")
LARGER_AUC = Criterion(0.7, f"chance that a box of one split is larger for its detection, or less tight: {REASONED}")
WIDER = Criterion(1.25, f"spread of the boxes' aspects for each of the detections', by the other split's: {REASONED}")
LESS_TIGHT = Criterion(0.1, f"median IoU with its detections below that in the other split: {REASONED}")
LOOSE_MEDIAN = Criterion(0.8, f"median IoU with its detections from which a class is not weak by its boxes: {REASONED}")


@dataclass(frozen=True)
class Fit:
    """The boxes of one split that a sure detection of the class meets, ``[k]``.

    Attributes:
        iou: with the detection.
        ratio: logarithm of the sides of the box for each of the detection's.
        aspect, own_aspect: logarithm of width / height, of the box and of the detection.
        score: of the detection.
    """

    iou: Floats
    ratio: Floats
    aspect: Floats
    own_aspect: Floats
    score: Floats

    @classmethod
    def of(cls, result: ClassResult) -> "Fit":
        """From a class's boxes and detections."""
        boxes = result.boxes
        floor = float(np.quantile(result.true_scores, CONFIDENT_QUANTILE)) if result.n_true >= MIN_HITS else 0.0
        met = (boxes.detection != NONE) & (boxes.outcome != COVERED) & ~result.flat
        met &= (np.nan_to_num(boxes.near_box[:, 2:]) > 0).all(axis=1) & (np.nan_to_num(boxes.score, nan=-1.0) >= floor)
        rows = take(boxes, met)
        box, own = np.log(rows.box[:, 2:]), np.log(rows.near_box[:, 2:])
        return cls(rows.iou, (box - own).mean(axis=1), box[:, 0] - box[:, 1], own[:, 0] - own[:, 1], rows.score)

    @property
    def widening(self) -> float:
        """The spread of the boxes' aspects for each of the detections'."""
        return _spread(self.aspect) / max(_spread(self.own_aspect), 1e-3)


@dataclass(frozen=True)
class Looseness:
    """The boxes of ``side`` are loose, held against ``other``; `Fit` of both."""

    side: Side
    other: Side
    fit: Fit
    other_fit: Fit

    @property
    def larger(self) -> float:
        """Sides of a box for each of its detection, by the same in the other split, in the median."""
        return float(np.exp(np.median(self.fit.ratio) - np.median(self.other_fit.ratio)))


def find_looseness(sides: Sides) -> Looseness | None:
    """The split whose boxes of the class are loose; None where neither's are, or the evaluated ones fit well."""
    fits = {side.split: Fit.of(side.result) for side, _ in sides.both_ways()}
    if min(len(fit.iou) for fit in fits.values()) < FEW_BOXES or np.median(fits[EVALUATED].iou) >= LOOSE_MEDIAN:
        return None
    for side, other in sides.both_ways():
        fit, usual = fits[side.split], fits[other.split]
        if _are_larger(fit, usual) or _are_wider(fit, usual):
            return Looseness(side, other, fit, usual)
    return None


def _are_larger(fit: Fit, usual: Fit) -> bool:
    """Whether the boxes lie around their detections farther than the other split's do."""
    larger = np.median(fit.ratio) - np.median(usual.ratio)
    return bool(larger >= np.log(LARGER)) and _is_above(fit.ratio, usual.ratio)


def _are_wider(fit: Fit, usual: Fit) -> bool:
    """Whether the boxes vary as the detections, which are as sure as in the other split, do not."""
    sure = Auc.of(usual.score, fit.score)
    is_off = np.median(usual.iou) - np.median(fit.iou) >= LESS_TIGHT and _is_above(usual.iou, fit.iou)
    is_as_sure = sure is not None and sure.value <= AS_SURE_AUC
    return bool(is_off) and is_as_sure and fit.widening >= WIDER * usual.widening


def _is_above(high: Floats, low: Floats) -> bool:
    auc = Auc.of(high, low)
    return auc is not None and auc.value >= LARGER_AUC and auc.value - 0.5 >= CHANCE_ERRORS * auc.error


def _spread(values: Floats) -> float:
    """The distance of the quartiles: a few wild boxes do not widen it."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)

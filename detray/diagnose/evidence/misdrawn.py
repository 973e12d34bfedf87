"""Boxes that a detector meets too loosely to be drawn right, for how tightly it meets the others of their class."""

import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.mixture import logit
from detray.diagnose.observation.counts import FEW_BOXES

ASTRAY = Criterion(
    0.01,
    "share of the right boxes that sure detections meet so by an error of the model: .002 to .010 on clean labels of"
    " blood cells, .004 to .006 on exact ones (the splits of benchmarks/trained.py)",
)

_ONE_DEVIATION, _LEAST_SPREAD, _LEAST_IOU = 0.84, 0.3, 1e-3
_STEPS, _TINY = 100, float(np.finfo(float).tiny)


def misdrawn(category: Ints, iou: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """The chance that a box is badly drawn, by the IoU that a sure detection of its class has with it.

    Log odds of the IoU are normal over the right boxes of a class. Middle and spread are told by its tighter half, in
    which no badly drawn ones are. These are met at any IoU from ``low`` to ``high``, and their share of all boxes is
    what explains the IoUs best (EM; Dempster, Laird and Rubin, 1977): of all classes together, since few boxes of one
    class tell none. Of so many as `ASTRAY` it is the model that errs.

    Args:
        category: ``[n]`` of boxes that a sure detection meets.
        iou: ``[n]`` with it, at least ``low``.
        low, high: of badly drawn boxes.

    Returns:
        Both ``[n]`` in [0, 1]: the chance, and what it would be were the model never to err so; 0 for the tighter half
        of a class and for classes of too few boxes.
    """
    odds, usual, is_loose = logit(iou, _LEAST_IOU), np.zeros(len(iou)), np.zeros(len(iou), np.bool_)
    known = np.zeros(len(iou), np.bool_)
    for one in np.unique(category):
        mine = category == one
        if mine.sum() < FEW_BOXES:
            continue
        middle, high_odds = np.quantile(odds[mine], [0.5, _ONE_DEVIATION])
        spread, below = max(float(high_odds - middle), _LEAST_SPREAD), np.maximum(middle - odds[mine], 0.0)
        by_odds = np.exp(-((below / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
        usual[mine] = by_odds / np.maximum(iou[mine] * (1 - iou[mine]), _LEAST_IOU)  # of the IoU, not of its odds
        known |= mine
        is_loose[mine] = below > 0
    if not known.any():
        return np.zeros(len(iou)), np.zeros(len(iou))
    bad = (iou < high) / (high - low)
    share = _share(bad[known], usual[known])
    told = np.where(is_loose, _told(share, bad, usual), 0.0)
    return told * max(share - ASTRAY, 0.0) / max(share, _TINY), told


def _share(bad: Floats, usual: Floats) -> float:
    """The share of badly drawn boxes; ``bad`` and ``usual`` ``[n]``: density of each IoU if drawn badly, or right."""
    order, share = np.lexsort((usual, bad)), 2 * ASTRAY  # sums of floats depend on their order
    bad, usual = bad[order], usual[order]
    for _ in range(_STEPS):
        share = float(_told(share, bad, usual).mean())
    return share


def _told(share: float, bad: Floats, usual: Floats) -> Floats:
    found: Floats = share * bad / np.maximum(share * bad + (1 - share) * usual, _TINY)
    return found

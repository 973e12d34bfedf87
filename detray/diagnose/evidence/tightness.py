"""How tightly detections would lie on boxes that are not loose, told by the same model's on training pictures."""

import numpy as np

from detray.arrays import Floats
from detray.diagnose.evidence.histogram import log_odds
from detray.diagnose.evidence.sides import Side, Sides
from detray.diagnose.observation.counts import FEW_BOXES
from detray.diagnose.observation.rows import TIGHT_IOU


def usual_iou(sides: Sides, category: int) -> Floats | None:
    """IoU of the true detections of a class whose boxes in the evaluated split are drawn as those in training are.

    A model draws tighter on pictures that it was trained on. By how much is told by the other classes, whose boxes are
    alike in both splits: the share of their true detections that hold at IoU .75 falls so far, in log odds, in the
    median. What the detections of the class on training pictures lack to an IoU of 1 is scaled until as many of them
    hold as that leaves.

    Args:
        sides: of the class; those in training are not loose.
        category: the class, in the evaluated split.

    Returns:
        ``[k]`` by rising score, of the true detections on training pictures; None where no other class tells, or there
        are none.
    """
    falls = [
        log_odds(here) - log_odds(there)
        for k in sides.train.ids
        if k != category
        and (here := _tight_share(sides.evaluated, k)) is not None
        and (there := _tight_share(sides.train, k)) is not None
    ]
    own = _tight_share(sides.train, category)
    if not falls or own is None:
        return None
    held = 1 / (1 + np.exp(-(log_odds(own) + np.median(falls))))
    rows, true = sides.train.result.detections, sides.train.result.true
    lack = 1 - rows.iou[true][np.argsort(rows.score[true], kind="stable")]
    return 1 - np.minimum(lack * (1 - TIGHT_IOU) / max(float(np.quantile(lack, held)), 1e-6), 0.5)


def _tight_share(side: Side, category: int) -> float | None:
    """The share of the true detections of a class of the evaluated split that hold at IoU .75, none and all of them
    being half a detection away; None where too few tell it."""
    own = side.ids.get(category, -1)
    n, tight = side.counts.hits.get(own, 0), side.counts.tight_hits.get(own, 0)
    return (tight + 0.5) / (n + 1) if n >= FEW_BOXES else None

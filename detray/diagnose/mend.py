"""Counterfactuals: the AP that a class would have if one thing were mended, as TIDE asks (Bolya et al., ECCV 2020)."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats, Ints, Words
from detray.boxes import IOU_THRESHOLDS
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.observation.rows import ALL_LEVELS
from detray.evaluate.kernel import Detections, GroundTruth, class_average_precision
from detray.evaluate.kernel.accumulate import average_precision

LEAST_GAIN = Criterion(0.01, "AP below which a mend is not worth a place above other causes")
LEAST_SHARE = Criterion(0.02, "the same as a share of an AP that is below .5")
MIN_GAIN = Criterion(0.05, "AP that a change of seed alone moves (measured on a rare class)")


@dataclass(frozen=True)
class Redrawn:
    """Boxes of the class are drawn as those are that detections lie so tightly on.

    The surer a detection, the tighter it lies; so the IoUs are dealt out by score.

    Attributes:
        detections: of the class, ``[m]``, whose box is drawn anew.
        iou: that such detections have with such boxes, ``[k]``, k > 0, by rising score.
    """

    detections: Flags
    iou: Floats

    def matched(self, score: Floats) -> Words:
        """The levels that detections with these scores, ``[j]``, match at then."""
        place = np.empty(len(score), np.int64)
        place[np.argsort(score, kind="stable")] = np.arange(len(score))
        iou = self.iou[place * len(self.iou) // max(len(score), 1)]
        return _words((iou[:, None] >= IOU_THRESHOLDS).sum(axis=1))


@dataclass(frozen=True)
class Mend:
    """What is mended in a class's result, as masks of its detections ``[m]`` or of its boxes ``[n]``; None: nothing."""

    ignored: Flags | None = None
    """Detections that do not count where they are false."""
    exact: Flags | None = None
    """Detections that match their box at every IoU."""
    redrawn: Redrawn | None = None
    """Boxes that are drawn anew."""
    labelled: Flags | None = None
    """Detections that get a box of their own, matched as tightly as the true ones are."""
    snapped: Flags | None = None
    """Missed boxes that the detection nearby matches at every IoU."""
    without: Flags | None = None
    """Boxes that do not count."""
    relabelled: Flags | None = None
    """Boxes whose cover gets the class's label."""
    found: Flags | None = None
    """Boxes that are found as the true ones are: with such scores, as tightly."""
    found_last: Flags | None = None
    """The same, below every other score."""
    true_first: bool = False
    """True detections score above false ones."""
    uncapped: bool = False
    """All detections of an image count; with nothing else mended."""


def told_apart(result: ClassResult, boxes: Flags, detections: Flags, other: int) -> Mend:
    """A class and ``other`` told apart in both directions: one mend, as it is one row of the table errors.

    Args:
        result: of the class.
        boxes: those of the class that are covered by another one, ``[n]``.
        detections: those of the class that sit on another one, ``[m]``.
        other: the other class.
    """
    return Mend(
        relabelled=boxes & (result.boxes.cover_category == other),
        ignored=detections & (result.detections.other_category == other),
    )


def regained(result: ClassResult, mend: Mend) -> float | None:
    """AP that the class regains by the mend, at least 0; None where it has none."""
    if result.ap is None:
        return None
    mended = mended_ap(result, mend)
    return None if mended is None else max(mended - result.ap, 0.0)


def is_worth(result: ClassResult, gain: float | None) -> bool:
    """Whether a mend that regains so much AP is worth a place among the causes."""
    return gain is not None and gain >= min(LEAST_GAIN, LEAST_SHARE * (result.ap or 0.0)) and gain > 0


def mended_ap(result: ClassResult, mend: Mend) -> float | None:
    """AP with the mend, by the evaluation's own code; None where no box is left."""
    boxes = result.boxes
    if mend.uncapped:
        return _uncapped_ap(result)
    kept = result.detections.kept
    columns = (getattr(result.detections, name)[kept] for name in ("score", "image", "rank", "matched", "ignored"))
    score, image, rank, matched, ignored = columns
    n = result.n_boxes
    if mend.exact is not None:
        matched[mend.exact[kept]] = ALL_LEVELS
    if mend.redrawn is not None:
        chosen = mend.redrawn.detections[kept]
        matched[chosen], ignored[chosen] = mend.redrawn.matched(score[chosen]), 0
    if mend.ignored is not None:
        chosen = mend.ignored[kept]
        ignored[chosen] |= ~matched[chosen] & ALL_LEVELS
    if mend.labelled is not None:
        chosen = mend.labelled[kept]
        matched[chosen], ignored[chosen] = _usual_matches(result, int(chosen.sum())), 0
        n += int(chosen.sum())
    if mend.snapped is not None:
        chosen = np.isin(rank, boxes.detection[mend.snapped])
        matched[chosen], ignored[chosen] = ALL_LEVELS, 0
    if mend.true_first and len(score):
        score += (matched & ~ignored & 1) * (1 + score.max() - score.min())
    if mend.without is not None:
        n -= int(mend.without.sum())
    for new, more_score, more_rank, more_matched in _added(result, mend, float(score.min()) - 1 if len(score) else 0.0):
        score, image, rank = (
            np.append(score, more_score),
            np.append(image, boxes.image[new]),
            np.append(rank, more_rank),
        )
        matched, ignored = np.append(matched, more_matched), np.append(ignored, np.zeros_like(more_matched))
    return float(average_precision(score, image, rank, matched, ignored, n).mean()) if n else None


def _added(result: ClassResult, mend: Mend, last: float) -> list[tuple[Flags, Floats, Ints, Words]]:
    """Detections that the mend adds: their boxes, scores, ranks, and the levels that they match at."""
    boxes, added = result.boxes, []
    if mend.relabelled is not None:
        rows = mend.relabelled
        levels = (boxes.cover_iou[rows, None] >= IOU_THRESHOLDS).sum(axis=1)
        added.append((rows, boxes.cover_score[rows], boxes.cover_rank[rows], _words(levels)))
    new = mend.found if mend.found is not None else mend.found_last
    if new is not None:
        n = int(new.sum())
        like = np.sort(result.true_scores) if mend.found is not None else np.empty(0)
        score = like[np.arange(n) * len(like) // max(n, 1)] if len(like) else np.full(n, last)
        added.append((new, score, np.arange(n), _usual_matches(result, n)))
    return added


def _words(levels: Ints) -> Words:
    """The matches of detections that hold at so many of the lowest levels."""
    return ((1 << levels) - 1).astype(np.int16)


def _usual_matches(result: ClassResult, n: int) -> Words:
    """The levels that ``n`` new true detections match at: those of the true ones in turn, else all."""
    words = result.detections.matched[result.true]
    return words[np.arange(n) * len(words) // max(n, 1)] if len(words) else np.full(n, ALL_LEVELS)


def _uncapped_ap(result: ClassResult) -> float | None:
    boxes, rows = result.boxes, result.detections
    gt = GroundTruth(boxes.image, boxes.category, boxes.box, boxes.area, np.zeros(len(boxes), np.bool_))
    dt = Detections(rows.image, rows.category, rows.box, rows.score, rows.rank)
    return float(class_average_precision(gt, dt, max(len(rows), 1)).mean()) if len(boxes) else None

"""One class's boxes and detections, and its AP with one thing mended."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Flags, Floats, Ints
from detray.boxes import IOU_THRESHOLDS
from detray.diagnose import thresholds as t
from detray.diagnose.columns import take
from detray.diagnose.evidence import rows as o
from detray.diagnose.evidence.rows import BoxRows, DetectionRows
from detray.evaluate.accumulate import average_precision


@dataclass(frozen=True)
class Auc:
    """The chance that a value of one kind lies above one of another, such as the score of a true detection
    above that of a false one, and its standard error if both were alike (Mann and Whitney, 1947)."""

    value: float
    error: float

    @classmethod
    def of(cls, high: Floats, low: Floats) -> "Auc | None":
        """The chance that one of ``high`` is greater than one of ``low``; None without either."""
        n, m = len(high), len(low)
        if not n or not m:
            return None
        low = np.sort(low)
        below, through = np.searchsorted(low, high, side="left"), np.searchsorted(low, high, side="right")
        return cls(float((below + through).mean() / 2 / m), float(np.sqrt((n + m + 1) / (12 * n * m))))

    @property
    def is_bad(self) -> bool:
        """Whether false detections outscore true ones, by more than chance."""
        return self.value + self.error < t.BAD_AUC


@dataclass(frozen=True)
class ClassResult:
    """One class's boxes and detections, as given or with mapping faults repaired."""

    boxes: BoxRows
    detections: DetectionRows

    @cached_property
    def n_boxes(self) -> int:
        return len(self.boxes)

    @cached_property
    def true(self) -> Flags:
        """Detections that matched at IoU .5."""
        return self.detections.kept & (self.detections.outcome == o.TRUE)

    @cached_property
    def missed(self) -> Flags:
        """Boxes that no detection of the class matched at IoU .5."""
        return self.boxes.outcome != o.HIT

    @property
    def recall(self) -> float:
        return 1 - float(self.missed.mean()) if self.n_boxes else 0.0

    def outcomes(self, outcome: int) -> Flags:
        """The detections among the kept ones with this outcome."""
        return self.detections.kept & (self.detections.outcome == outcome)

    @cached_property
    def false(self) -> Flags:
        """Kept detections that count as false at IoU .5."""
        return self.detections.kept & (self.detections.outcome != o.TRUE) & (self.detections.outcome != o.IGNORED)

    @cached_property
    def ap(self) -> float | None:
        """COCO AP; None without boxes."""
        return None if self._levels is None else float(self._levels.mean())

    @cached_property
    def confident(self) -> float:
        """The score that all but a tenth of the true detections exceed; 0 without true ones."""
        scores = self.detections.score[self.true]
        return float(np.quantile(scores, t.CONFIDENT_QUANTILE)) if len(scores) else 0.0

    def auc(self, false: Flags, floor: float = -np.inf) -> "Auc | None":
        """The chance that a true detection scores above one of ``false``, of those that score at
        least ``floor``; None without either."""
        false_scores = self.detections.score[false]
        true_scores = self.detections.score[self.true]
        false_scores, true_scores = false_scores[false_scores >= floor], true_scores[true_scores >= floor]
        return Auc.of(true_scores, false_scores)

    def ap_with(
        self,
        *,
        ignore: Flags | None = None,
        perfect: Flags | None = None,
        snapped: tuple[Flags, Ints] | None = None,
        first: bool = False,
        labelled: Flags | None = None,
        without: Flags | None = None,
        relabelled: Flags | None = None,
        found: Flags | None = None,
        found_last: Flags | None = None,
    ) -> float | None:
        """AP with one thing mended; every argument is one, None: as it is.

        Args:
            ignore: detections that do not count as false where they are.
            perfect: detections that match their box at every IoU.
            snapped: (boxes, ranks): each of these missed boxes is matched by the detection of that
                rank at every IoU.
            first: true detections score above false ones.
            labelled: detections that get a box of their own, matched as tightly as the true ones are.
            without: boxes that do not count.
            relabelled: boxes whose cover gets the class's label.
            found: boxes that are found as the true ones are: with such scores, as tightly.
            found_last: the same, below every other score.
        """
        rows, boxes = self.detections, self.boxes
        kept = rows.kept
        matched, ignored, score = rows.matched[kept], rows.ignored[kept], rows.score[kept]
        image, rank, n = rows.image[kept], rows.rank[kept], self.n_boxes
        if perfect is not None:
            matched = np.where(perfect[kept], o.ALL_LEVELS, matched)
        if ignore is not None:
            ignored = np.where(ignore[kept], ignored | ~matched & o.ALL_LEVELS, ignored)
        if labelled is not None:
            chosen = labelled[kept]
            matched, ignored = matched.copy(), ignored.copy()
            matched[chosen], ignored[chosen] = self._words(int(chosen.sum())), 0
            n += int(chosen.sum())
        if snapped is not None:
            loose, ranks = snapped
            matched, ignored = matched.copy(), ignored.copy()
            place = np.flatnonzero(np.isin(rank, ranks[loose]))
            matched[place], ignored[place] = o.ALL_LEVELS, 0
        if first and len(score):
            true = matched & ~ignored & 1
            score = score + true * (1 + score.max() - score.min())
        if relabelled is not None:
            held = np.array([_word(iou) for iou in boxes.cover_iou[relabelled]], np.int16)
            matched, ignored = np.append(matched, held), np.append(ignored, np.zeros_like(held))
            score = np.append(score, boxes.cover_score[relabelled])
            image, rank = np.append(image, boxes.image[relabelled]), np.append(rank, boxes.cover_rank[relabelled])
        new = found if found is not None else found_last
        if new is not None:
            words = self._words(int(new.sum()))
            matched, ignored = np.append(matched, words), np.append(ignored, np.zeros_like(words))
            like = np.sort(rows.score[self.true])
            if found is not None and len(like):
                new_score = like[np.arange(len(words)) * len(like) // max(len(words), 1)]
            else:
                new_score = np.full(len(words), score.min() - 1 if len(score) else 0.0)
            score, image = np.append(score, new_score), np.append(image, boxes.image[new])
            rank = np.append(rank, np.arange(len(words)))
        if without is not None:
            n -= int(without.sum())
        if not n:
            return None
        levels = average_precision(score, image, rank, matched.astype(np.int16), ignored.astype(np.int16), n)
        return float(levels.mean())

    @cached_property
    def ap50(self) -> float | None:
        """AP at IoU .5; None without boxes."""
        return None if self._levels is None else float(self._levels[0])

    @cached_property
    def _levels(self) -> Floats | None:
        """AP at each of COCO's IoU thresholds; None without boxes."""
        if not self.n_boxes:
            return None
        found = take(self.detections, self.detections.kept)
        return average_precision(found.score, found.image, found.rank, found.matched, found.ignored, self.n_boxes)

    def _words(self, n: int) -> NDArray[np.int16]:
        """Match words for ``n`` new true detections: those of the true ones in turn, else a perfect one."""
        words = self.detections.matched[self.true]
        return words[np.arange(n) * len(words) // max(n, 1)] if len(words) else np.full(n, o.ALL_LEVELS, np.int16)


def _word(iou: float) -> int:
    """The bits of COCO's thresholds up to ``iou``."""
    return (1 << int((iou >= IOU_THRESHOLDS).sum())) - 1

"""One class's boxes and detections, and how it scores."""

from dataclasses import dataclass
from functools import cached_property

from detray.arrays import Flags, Floats
from detray.diagnose.evidence.chance import Auc
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.rows import HIT, IGNORED, TIGHT_LEVEL, TRUE, BoxRows, DetectionRows
from detray.evaluate.kernel.accumulate import average_precision


@dataclass(frozen=True)
class ClassResult:
    """One class's boxes ``[n]`` and detections ``[m]``, as given or with mapping faults repaired."""

    boxes: BoxRows
    detections: DetectionRows

    @property
    def n_boxes(self) -> int:
        """Boxes, crowds left out."""
        return len(self.boxes)

    @cached_property
    def true(self) -> Flags:
        """Detections that matched at IoU .5."""
        return self.outcomes(TRUE)

    @cached_property
    def n_true(self) -> int:
        """How many these are."""
        return int(self.true.sum())

    @cached_property
    def true_scores(self) -> Floats:
        """Their scores."""
        return self.detections.score[self.true]

    @cached_property
    def false(self) -> Flags:
        """Kept detections that count as false at IoU .5."""
        rows = self.detections
        return rows.kept & (rows.outcome != TRUE) & (rows.outcome != IGNORED)

    def outcomes(self, outcome: int) -> Flags:
        """The detections among the kept ones with this outcome."""
        return self.detections.kept & (self.detections.outcome == outcome)

    @cached_property
    def missed(self) -> Flags:
        """Boxes that no detection of the class matched at IoU .5."""
        return self.boxes.outcome != HIT

    @property
    def recall(self) -> float:
        """The share of the boxes that are matched at IoU .5; 0 without boxes."""
        return 1 - float(self.missed.mean()) if self.n_boxes else 0.0

    @cached_property
    def untight_share(self) -> float | None:
        """The share of the true detections that fail at IoU .75; None without any."""
        words = self.detections.matched[self.true]
        return float((words >> TIGHT_LEVEL & 1 == 0).mean()) if len(words) else None

    @cached_property
    def ap(self) -> float | None:
        """COCO AP; None without boxes."""
        return None if self._levels is None else float(self._levels.mean())

    @cached_property
    def ap50(self) -> float | None:
        """AP at IoU .5; None without boxes."""
        return None if self._levels is None else float(self._levels[0])

    @cached_property
    def _levels(self) -> Floats | None:
        """AP at each of COCO's IoU thresholds; None without boxes."""
        if not self.n_boxes:
            return None
        rows = take(self.detections, self.detections.kept)
        return average_precision(rows.score, rows.image, rows.rank, rows.matched, rows.ignored, self.n_boxes)

    def auc(self, false: Flags, floor: float) -> Auc | None:
        """The chance that a true detection scores above one of ``false``, of those that score at
        least ``floor``; None without either."""
        true_scores, false_scores = self.true_scores, self.detections.score[false]
        return Auc.of(true_scores[true_scores >= floor], false_scores[false_scores >= floor])

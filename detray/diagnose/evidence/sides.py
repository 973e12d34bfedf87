"""One class in the evaluated split and on training pictures, seen by the same model: what differs between them is told
by the labels or by the pictures, never by the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Floats
from detray.diagnose.criterion import REASONED, Criterion
from detray.diagnose.evidence.chance import CHANCE_ERRORS, Auc
from detray.diagnose.evidence.histogram import NO_SCORES, Histogram, histograms
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.observation.counts import ClassCounts

TOLD_BY = Criterion(5, f"true detections of a side from which it tells how sure the model is: {REASONED}")

AS_SURE_AUC = Criterion(0.65, f"chance that a true detection of the other split is surer: {REASONED}")

EVALUATED, TRAIN = "evaluated", "train"


@dataclass(frozen=True)
class Side:
    """One class in one split.

    Attributes:
        split: `EVALUATED` or `TRAIN`.
        result: its boxes and detections there.
        counts: of all classes there.
        ids: of all classes there, by their ids in the evaluated split.
        n_images: that the model has seen there.
    """

    split: str
    result: ClassResult
    counts: ClassCounts
    ids: Mapping[int, int]
    n_images: int

    @property
    def words(self) -> str:
        """Its labels as sentences name them."""
        return "training labels" if self.split == TRAIN else "labels of this split"

    @property
    def pictures(self) -> str:
        """Its pictures as sentences name them."""
        return "training pictures" if self.split == TRAIN else "pictures of this split"

    @property
    def per_image(self) -> float:
        """Boxes an image."""
        return self.result.n_boxes / max(self.n_images, 1)

    @cached_property
    def middle(self) -> float | None:
        """The median score of the true detections; None where too few tell it."""
        return float(np.median(self.result.true_scores)) if self.result.n_true >= TOLD_BY else None

    def scores_of(self, category: int) -> Histogram | None:
        """The true scores of a class of the evaluated split; None where too few tell them."""
        own = self._scores.get(self.ids.get(category, -1))
        return own if own is not None and own.total >= TOLD_BY else None

    def true_bins(self, category: int) -> Floats:
        """The bins of the true scores of a class of the evaluated split, one for each."""
        scores = self._scores.get(self.ids.get(category, -1), NO_SCORES)
        return np.repeat(scores.bins, scores.n).astype(np.float64)

    @cached_property
    def _scores(self) -> dict[int, Histogram]:
        return histograms(self.counts.true_scores)

    def own_id(self, category: int) -> int | None:
        """The class of the evaluated split that this side calls ``category``."""
        return next((k for k, own in self.ids.items() if own == category), None)


@dataclass(frozen=True)
class Sides:
    """Both splits of one class."""

    evaluated: Side
    train: Side

    def both_ways(self) -> tuple[tuple[Side, Side], ...]:
        """Each side, with the other one that it is held against."""
        return (self.train, self.evaluated), (self.evaluated, self.train)

    def to_accuse(self, category: int | None = None) -> tuple[tuple[Side, Side], ...]:
        """The same, without the evaluated side where true detections are less sure there than in training: what a
        model has learnt by heart it contradicts elsewhere by itself. ``category``: those of another class."""
        both = (self.train, self.evaluated)
        train, here = (side.result.true_scores if category is None else side.true_bins(category) for side in both)
        auc = Auc.of(train, here) if min(len(train), len(here)) >= TOLD_BY else None
        is_surer = auc is not None and auc.value > AS_SURE_AUC and auc.value - 0.5 >= CHANCE_ERRORS * auc.error
        return self.both_ways()[: 1 if is_surer else 2]


def errors_apart(k: int, n: int, other_k: int, other_n: int) -> float:
    """Standard errors by which the share k of n lies above another; 0 where either has none."""
    if not n or not other_n:
        return 0.0
    share = (k + other_k) / (n + other_n)
    error = np.sqrt(share * (1 - share) * (1 / n + 1 / other_n))
    return float((k / n - other_k / other_n) / error) if error else 0.0


def is_far_above(k: int, n: int, other_k: int, other_n: int, gap: float) -> bool:
    """Whether the share k of n lies above another by ``gap``, beyond chance."""
    if not n or not other_n or k / n - other_k / other_n < gap:
        return False
    return errors_apart(k, n, other_k, other_n) >= CHANCE_ERRORS


def count(rows: Flags) -> int:
    """How many are true."""
    return int(rows.sum())

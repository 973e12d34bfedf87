"""What all classes of a split share: how the others do and score, and what is wrong between the files."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from detray.diagnose import thresholds as t
from detray.diagnose.observe import Counts, Tally, bin_score, score_bin
from detray.diagnose.repairs import Faults
from detray.diagnose.training import Outside, drift
from detray.evaluate.kernel import Flags, Floats, Ints


@dataclass(frozen=True)
class Reference:
    """How the classes that work score: what is unusual for this model is told by them."""

    lowest_score: float | None
    """The lowest score of any of their detections; None if no class works."""
    scores: Mapping[int, Counts]
    """Their true detections by score bin, by class."""

    @classmethod
    def of(cls, tally: Tally, working: frozenset[int]) -> "Reference":
        lowest = [tally.lowest_scores[k] for k in working if k in tally.lowest_scores]
        scores: dict[int, Counts] = {}
        for (owner, number), n in tally.true_scores.items():
            if owner in working:
                scores.setdefault(owner, {})[number] = n
        return cls(bin_score(min(lowest)) if lowest else None, scores)

    def without(self, category: int) -> "Reference":
        """The other classes alone."""
        return replace(self, scores={k: scores for k, scores in self.scores.items() if k != category})

    @cached_property
    def _pooled(self) -> Counts:
        pooled: Counts = {}
        for scores in self.scores.values():
            for number, n in scores.items():
                pooled[number] = pooled.get(number, 0) + n
        return pooled

    def position(self, score: float) -> float | None:
        """The share of the true detections that score below; None without any."""
        total = sum(self._pooled.values())
        number = int(score_bin(np.array([score]))[0])
        return sum(n for place, n in self._pooled.items() if place < number) / total if total else None

    def quantile(self, share: float) -> float | None:
        """The score below which this share of the true detections lies; None without any."""
        return _quantile(self._pooled, share)


def _quantile(scores: Counts, share: float) -> float | None:
    if not scores:
        return None
    bins = sorted(scores)
    counts = np.cumsum([scores[number] for number in bins])
    place = int(np.searchsorted(counts, share * counts[-1], side="right"))
    return bin_score(bins[min(place, len(bins) - 1)])


@dataclass(frozen=True)
class Surroundings:
    """What all classes of a split share: names, counts, repairs, and how the others do."""

    names: Mapping[int, str]
    given: Tally
    """Counts as the files say."""
    repaired: Tally
    """Counts with the mapping faults repaired."""
    reference: Reference
    faults: Faults = field(default_factory=Faults)
    outside: Outside = field(default_factory=Outside)

    @property
    def unrepaired(self) -> "Surroundings":
        """The same, with no fault repaired."""
        return replace(self, repaired=self.given)

    def label(self, category: int) -> str:
        """A class as sentences name it: `name` (id 3)."""
        return f"`{self.names.get(category, category)}` (id {category})"

    def works(self, category: int) -> bool:
        """Whether the class finds its own boxes."""
        n = self.repaired.boxes.get(category, 0)
        return n > 0 and self.repaired.hits.get(category, 0) / n >= t.WORKING_RECALL

    @cached_property
    def _floors(self) -> dict[int, float]:
        own: dict[int, Counts] = {}
        for (owner, number), n in self.repaired.true_scores.items():
            own.setdefault(owner, {})[number] = n
        floors = {
            k: _quantile(scores, t.CONFIDENT_QUANTILE)
            for k, scores in own.items()
            if sum(scores.values()) >= t.MIN_HITS
        }
        return {k: score for k, score in floors.items() if score is not None}

    @cached_property
    def drifts(self) -> dict[int, dict[str, float]]:
        """By class: distances of sizes and aspects here from those in training, where enough boxes are known."""
        training = self.outside.training
        if training is None:
            return {}
        by_name: dict[str, int] = {name: k for k, name in sorted(training.names.items(), reverse=True)}
        here, there = self.outside.shapes, training.shapes
        found = {}
        for category, n in here.boxes.items():
            other = by_name.get(self.names.get(category, ""), int(category))
            if min(n, there.boxes.get(other, 0)) < t.SHIFT_BOXES:
                continue
            sizes = drift(here.sizes, there.sizes, category, other)
            aspects = drift(here.aspects, there.aspects, category, other)
            if sizes is not None and aspects is not None:
                found[category] = {"sizes": sizes, "aspects": aspects}
        return found

    def recall_by_size(self, category: int) -> tuple[float, float] | None:
        """Recall of the small (area up to 32²) and of the larger boxes of the other classes; None where
        either has too few."""
        tally = self.repaired

        def recall(boxes: Counts, hits: Counts) -> float | None:
            n = sum(count for k, count in boxes.items() if k != category)
            return sum(count for k, count in hits.items() if k != category) / n if n >= t.FEW_BOXES else None

        small = recall(tally.small_boxes, tally.small_hits)
        large = recall(
            {k: n - tally.small_boxes.get(k, 0) for k, n in tally.boxes.items()},
            {k: n - tally.small_hits.get(k, 0) for k, n in tally.hits.items()},
        )
        return None if small is None or large is None else (small, large)

    def confident(self, category: Ints, score: Floats) -> Flags:
        """Whether each detection scores as the true ones of its class do."""
        floor = np.array([self._floors.get(int(k), 0.0) for k in category])
        return score >= floor

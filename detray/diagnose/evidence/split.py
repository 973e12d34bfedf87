"""What all classes of a split share: names, counts, repairs, and how the others do."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.histogram import Histogram, histograms
from detray.diagnose.evidence.inputs import Inputs
from detray.diagnose.evidence.reference import CONFIDENT_QUANTILE, Reference
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.counts import FEW_BOXES, MIN_HITS, WORKING_RECALL, ClassCounts, Counts, bin_score
from detray.diagnose.observation.shapes import drift

HIGH_CUT = Criterion(0.2, f"lowest score of a class: exporters keep .05 or less, demos cut at .3 to .7: {SUITE}")
SHIFT_BOXES = Criterion(8, "boxes on each side for a distribution to be told")
CUT_DETECTIONS = Criterion(50, "detections from which the end of their scores can be judged")
CUT_STEP = Criterion(0.05, f"share of the range of the scores that is their lowest bit: {SUITE}")
CUT_PILE = Criterion(0.02, f"share of all detections in the lowest bit of a cut range: {SUITE}")
CUT_PILE_RATIO = Criterion(0.4, f"detections in the lowest bit for each in the next: {SUITE}")


@dataclass(frozen=True)
class Split:
    """What all classes of a split share: names, counts, repairs, and how the others do."""

    names: Mapping[int, str]
    given: ClassCounts
    """Counts as the files say."""
    repaired: ClassCounts
    """Counts with the mapping faults repaired."""
    reference: Reference
    faults: MappingFaults = field(default_factory=MappingFaults)
    inputs: Inputs = field(default_factory=Inputs)

    @cached_property
    def unrepaired(self) -> "Split":
        """The same, with no fault repaired."""
        return replace(self, repaired=self.given)

    def name(self, category: int) -> str:
        """A class's name, or its id in words."""
        return self.names.get(category, str(category))

    def label(self, category: int) -> str:
        """A class as sentences name it: `name` (id 3)."""
        return f"`{self.names.get(category, category)}` (id {category})"

    @cached_property
    def cut(self) -> float | None:
        """The score at which the detections of all classes are cut, if it is high; None: they are not.

        Scores that end by themselves thin out towards the lowest; where they were cut the lowest bit of
        their range holds as many as the next ones.
        """
        scores = Histogram.pooled(
            [*histograms(self.repaired.true_scores).values(), *histograms(self.repaired.false_scores).values()]
        )
        if scores.total < CUT_DETECTIONS:
            return None
        lowest, high = bin_score(int(scores.bins[0])), scores.quantile(0.99) or 0.0
        step = (high - lowest) * CUT_STEP
        at_cut, beyond = (scores.total - scores.above(lowest + k * step) for k in (1, 2))
        is_cut = at_cut >= max(CUT_PILE * scores.total, MIN_HITS, CUT_PILE_RATIO * (beyond - at_cut))
        return lowest if lowest >= HIGH_CUT and is_cut else None

    @cached_property
    def missed(self) -> float:
        """The share of their boxes that the classes miss, in the median; 0 without boxes."""
        shares = [1 - self.repaired.hits.get(k, 0) / n for k, n in self.repaired.boxes.items() if n]
        return float(np.median(shares)) if shares else 0.0

    @property
    def n_images_detected(self) -> int:
        """Images with any detection."""
        return sum(self.repaired.image_detections.values())

    def works(self, category: int) -> bool:
        """Whether the class finds its own boxes."""
        n = self.repaired.boxes.get(category, 0)
        return n > 0 and self.repaired.hits.get(category, 0) / n >= WORKING_RECALL

    @cached_property
    def _floors(self) -> dict[int, float]:
        floors = {
            k: scores.quantile(CONFIDENT_QUANTILE)
            for k, scores in histograms(self.repaired.true_scores).items()
            if scores.total >= MIN_HITS
        }
        return {k: score for k, score in floors.items() if score is not None}

    @cached_property
    def training_ids(self) -> dict[int, int]:
        """The classes' ids in the training annotations, by name, by those here."""
        training = self.inputs.training
        named = {} if training is None else {name: k for k, name in sorted(training.names.items(), reverse=True)}
        return {k: named[name] for k, name in self.names.items() if name in named}

    @cached_property
    def drifts(self) -> dict[int, dict[str, float]]:
        """By class: distances of sizes and aspects here from those in training, where enough boxes are known."""
        training = self.inputs.training
        if training is None:
            return {}
        by_name: dict[str, int] = {name: k for k, name in sorted(training.names.items(), reverse=True)}
        here, there = self.inputs.shapes, training.shapes
        drifts = {}
        for category, n in here.boxes.items():
            other = by_name.get(self.names.get(category, ""), int(category))
            if min(n, there.boxes.get(other, 0)) < SHIFT_BOXES:
                continue
            mine, theirs = here.independent(category), there.independent(other)
            sizes = drift(here.sizes, there.sizes, category, other, mine, theirs)
            aspects = drift(here.aspects, there.aspects, category, other, mine, theirs)
            if sizes is not None and aspects is not None:
                drifts[category] = {"sizes": sizes, "aspects": aspects}
        return drifts

    def working_above(self, category: int, side: float) -> tuple[int, float] | None:
        """Of the other classes that work the smallest of at least ``side`` px at the model's input in the middle, by
        its id, and its side; None where there is none, or the input is not known."""
        size, found = self.inputs.input_size, []
        for k in self.reference.classes:
            share = self.inputs.shapes.median_size(k)
            if k != category and size is not None and share is not None and share <= 1:
                found.append((share * float(np.sqrt(size[0] * size[1])), k))
        above = min((one for one in found if one[0] >= side), default=None)
        return None if above is None else (above[1], above[0])

    def recall_by_size(self, category: int) -> tuple[float, float] | None:
        """Recall of the small (area up to 32²) and of the larger boxes of the other classes; None where
        either has too few."""
        counts = self.repaired

        def recall(boxes: Counts, hits: Counts) -> float | None:
            n = sum(count for k, count in boxes.items() if k != category)
            return sum(count for k, count in hits.items() if k != category) / n if n >= FEW_BOXES else None

        small = recall(counts.small_boxes, counts.small_hits)
        large = recall(
            {k: n - counts.small_boxes.get(k, 0) - counts.flat_boxes.get(k, 0) for k, n in counts.boxes.items()},
            {k: n - counts.small_hits.get(k, 0) for k, n in counts.hits.items()},
        )
        return None if small is None or large is None else (small, large)

    def confident(self, category: Ints, score: Floats) -> Flags:
        """Whether each detection scores as the true ones of its class do."""
        floor = np.array([self._floors.get(int(k), 0.0) for k in category])
        return score >= floor

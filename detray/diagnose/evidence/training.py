"""What the training annotations hold of a class."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.split import Split

LEARNT_AP50 = Criterion(0.5, "diagnose.weak_below: a class below it on its training pictures is not learnt")

AS_RARE = Criterion(1.25, "times the boxes of the class: hardly more")
FOUND_WELL = Criterion(0.15, f"share of its boxes that a class misses which rarity does not harm: {SUITE}")


@dataclass(frozen=True)
class TrainingEvidence:
    """One class in training, where that is given."""

    category: int
    result: ClassResult
    split: Split
    seen: ClassResult | None = None
    """On training pictures."""

    @property
    def aps(self) -> tuple[float, float] | None:
        """AP and AP50 on training pictures; None where the model was not run on them, or they hold no box."""
        ap, ap50 = (None, None) if self.seen is None else (self.seen.ap, self.seen.ap50)
        return None if ap is None or ap50 is None else (ap, ap50)

    @property
    def class_ap50s(self) -> dict[int, float]:
        """AP50 on training pictures of all classes, by their ids in the training annotations."""
        seen = self.split.inputs.trained
        return {} if seen is None else seen.ap50s

    @property
    def nothing_learnt(self) -> bool:
        """Whether no class is found on training pictures: of such a model nothing tells of labels."""
        return bool(self.class_ap50s) and max(self.class_ap50s.values()) < LEARNT_AP50

    @property
    def little_learnt(self) -> bool:
        """Whether neither this class nor most others are found on training pictures: what the model mixes up there,
        where it was told the labels, it mixes up whatever these are."""
        others = [one for k, one in self.class_ap50s.items() if k != self.own_category]
        is_own = self.aps is None or self.aps[1] >= LEARNT_AP50
        return not is_own and sum(one >= LEARNT_AP50 for one in others) < len(others) / 2

    @property
    def words(self) -> str:
        """The training pictures as sentences name them."""
        seen = self.split.inputs.trained
        return "the training split" if seen is None else seen.words

    @cached_property
    def own_category(self) -> int | None:
        """The class's id in the training annotations: by name, else by id; None where it is not there."""
        training, name = self.split.inputs.training, self.split.name(self.category)
        if training is None:
            return None
        named = [k for k, there in sorted(training.names.items()) if there == name]
        if named:
            return named[0]
        is_there = self.category in training.shapes.boxes and self.category not in training.names
        return self.category if is_there else None

    @cached_property
    def n_boxes(self) -> int | None:
        """Boxes of the class in the training annotations; None where these are not given."""
        training = self.split.inputs.training
        if training is None:
            return None
        return 0 if self.own_category is None else training.shapes.boxes.get(self.own_category, 0)

    @property
    def drifts(self) -> dict[str, float]:
        """How far the sizes and aspects of the boxes lie from those in training; empty where unknown."""
        return self.split.drifts.get(self.category, {})

    @property
    def usual_drifts(self) -> dict[str, float]:
        """The same in the median of the other classes."""
        others = [drifts for k, drifts in self.split.drifts.items() if k != self.category]
        return {name: float(np.median([drifts[name] for drifts in others])) for name in self.drifts if others}

    @property
    def rarer_found_well(self) -> bool:
        """Whether a class with hardly more boxes in training (else here), or fewer, works and misses few of its own."""
        n, training, ids = self.share_of_boxes[0], self.split.inputs.training, self.split.training_ids
        return any(
            0
            < (self.split.repaired.boxes.get(k, 0) if training is None else training.shapes.boxes.get(ids.get(k), 0))
            <= AS_RARE * n
            for k, each in self.split.reference.classes.items()
            if k != self.category and each.missed is not None and each.missed <= FOUND_WELL
        )

    @property
    def share_of_boxes(self) -> tuple[int, float, str]:
        """The class's boxes, those of the median of the other classes, and where: in training if given."""
        training = self.split.inputs.training
        if training is not None:
            others = [n for k, n in training.shapes.boxes.items() if k != self.own_category]
            return self.n_boxes or 0, float(np.median(others)) if others else 0.0, "training"
        others = [n for k, n in self.split.repaired.boxes.items() if k != self.category]
        return self.result.n_boxes, float(np.median(others)) if others else 0.0, "the evaluated split"

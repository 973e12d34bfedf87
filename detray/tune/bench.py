"""What all trials of a tuning share: the resized pictures and the ground truth, prepared once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags
from detray.detectors.data import TrainingData
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.evaluate.kernel import GroundTruth
from detray.evaluate.scores import ImageGroups
from detray.flow.kept import Kept
from detray.flow.workspace import Workspace
from detray.tune.prepare import read_data, read_truth
from detray.tune.proof import GROUPS


@dataclass(frozen=True)
class Tables:
    """What `prepare` kept: of each split images and boxes, and the truth of val."""

    train: tuple[Kept, Kept]
    val: tuple[Kept, Kept]
    truth: Kept


@dataclass(frozen=True)
class Bench:
    """Small and picklable: what a trial needs beside its own settings.

    Classes are category_id to name: ``trained`` those of the training split, ``classes`` these and
    those of the validation split; ``focus`` are the ids of those that are tuned for. In ``workspace``
    every trial keeps what it came to.
    """

    run: str
    detector: DetectorSettings
    predict: PredictSettings
    trained: dict[int, str]
    classes: dict[int, str]
    focus: tuple[int, ...]
    tables: Tables
    workspace: Workspace
    gpus: float = 0

    @property
    def class_ids(self) -> list[int]:
        return sorted(self.classes)

    @property
    def is_focus(self) -> Flags:
        """``[c]`` by `class_ids`."""
        return np.isin(self.class_ids, self.focus)

    @property
    def focus_names(self) -> tuple[str, ...]:
        return tuple(self.classes[number] for number in self.focus)

    @cached_property
    def train_data(self) -> TrainingData:
        return read_data(*self.tables.train)

    @cached_property
    def val_data(self) -> TrainingData:
        return read_data(*self.tables.val)

    @cached_property
    def truth(self) -> GroundTruth:
        return read_truth(self.tables.truth)

    @cached_property
    def image_groups(self) -> ImageGroups:
        images = np.union1d(self.val_data.image_ids, self.truth.image)
        return ImageGroups(images, min(GROUPS, len(images)))

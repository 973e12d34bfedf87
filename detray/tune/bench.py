"""What all trials of a tuning share: the resized pictures and the ground truth, prepared once."""

from collections.abc import Mapping
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
from detray.tune.prepare import Size, read_data, read_truth, size_of
from detray.tune.proof import GROUPS


@dataclass(frozen=True)
class Tables:
    """What `prepare` kept: by input size, height and width, images and boxes of each split; and the truth of val and of
    what is proven on."""

    train: Mapping[Size, tuple[Kept, Kept]]
    val: Mapping[Size, tuple[Kept, Kept]]
    truth: Kept
    proof: Mapping[Size, tuple[Kept, Kept]]
    proof_truth: Kept


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
    def _read(self) -> dict[Size, tuple[TrainingData, TrainingData]]:
        return {}

    def data(self, detector: DetectorSettings) -> tuple[TrainingData, TrainingData]:
        """Both splits at the input size of a detector; one size at a time is held."""
        size = size_of(detector)
        if size not in self._read:
            self._read.clear()
            self._read[size] = (read_data(*self.tables.train[size]), read_data(*self.tables.val[size]))
        return self._read[size]

    @cached_property
    def truth(self) -> GroundTruth:
        return read_truth(self.tables.truth)

    @cached_property
    def proof_truth(self) -> GroundTruth:
        return read_truth(self.tables.proof_truth)

    def proof(self, detector: DetectorSettings) -> TrainingData:
        """What finalists are judged on, at the input size of a detector."""
        return read_data(*self.tables.proof[size_of(detector)])

    def image_groups(self, data: TrainingData) -> ImageGroups:
        """Of the proof."""
        images = np.union1d(data.image_ids, self.proof_truth.image)
        return ImageGroups(images, min(GROUPS, len(images)))

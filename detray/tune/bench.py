"""What all trials of a tuning share: who trains, the classes, and the ground truth that they are judged by."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Ints
from detray.evaluate.kernel import GroundTruth
from detray.evaluate.scores import ImageGroups
from detray.flow.kept import Kept
from detray.flow.workspace import Workspace
from detray.tune.prepare import read_truth
from detray.tune.proof import GROUPS
from detray.tune.trainer import Trainer

NO_IMAGES: Ints = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Bench:
    """Small and picklable: what a trial needs beside its own settings.

    ``classes`` are those of the training and the validation split, category_id to name; ``focus`` are the ids of those
    that are tuned for. ``truth_kept`` and ``proof_kept`` are the boxes of val and of what is proven on. In
    ``workspace`` every trial keeps what it came to; it holds ``cpus`` and ``gpus``. With ``is_timed`` the inference of
    each trial of the search is timed. ``max_drop`` is the guard's: AP that another class may lose.
    """

    run: str
    trainer: Trainer
    classes: dict[int, str]
    focus: tuple[int, ...]
    truth_kept: Kept
    proof_kept: Kept
    workspace: Workspace
    cpus: float = 1
    gpus: float = 0
    is_timed: bool = False
    max_drop: float = 1.0

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
    def truth(self) -> GroundTruth:
        return read_truth(self.truth_kept)

    @cached_property
    def proof_truth(self) -> GroundTruth:
        return read_truth(self.proof_kept)

    def image_groups(self, truth: GroundTruth, image_ids: Ints = NO_IMAGES) -> ImageGroups:
        """Of the pictures with ground truth, and of further ones that were looked at."""
        images = np.union1d(image_ids, truth.image)
        return ImageGroups(images, min(GROUPS, len(images)))

"""The trainer ``retinanet``: detray trains its own network, on pictures that are resized once for all trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from detray.arrays import Ints
from detray.detectors.data import TrainingData
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.settings import PredictSettings, TrainSettings
from detray.detectors.training.flow import columns
from detray.detectors.training.history import TRAIN, VAL
from detray.detectors.training.loop import check_class_names, detections, train
from detray.errors import UsageError
from detray.flow.flow import Flow, Results
from detray.flow.kept import Kept
from detray.flow.workspace import Workspace
from detray.tune import prepare
from detray.tune.prepare import PREPARE, Size, Split, read_data, size_of
from detray.tune.proof_stage import PROOF, ProofStage
from detray.tune.space import Space
from detray.tune.trainer import OnEpoch, Preparation, Ready
from detray.tune.trial import CHECKPOINT, Trial

Pictures = Mapping[Size, tuple[Kept, Kept]]
"""Images and boxes of a split, by input size, height and width."""


@dataclass(frozen=True)
class Trained:
    """A network, and the pictures that a proof judges it on."""

    model: RetinaNet
    unseen: TrainingData | None

    def files(self) -> Mapping[str, bytes]:
        return self.model.files()

    def milliseconds(self) -> float | None:
        return self.model.milliseconds()

    def proven(self) -> tuple[pa.Table, Ints]:
        if self.unseen is None:
            raise TypeError("only the training of a proof is judged on unseen pictures")
        return detections(self.model, self.unseen), self.unseen.image_ids


@dataclass(frozen=True)
class RetinaNetTrainer:
    """The pictures of the training split, of val, and of what is proven on; ``trained``: category_id to name."""

    predict: PredictSettings
    trained: Mapping[int, str]
    learnt: Pictures
    val: Pictures
    proof: Pictures

    @cached_property
    def _read(self) -> dict[Size, tuple[TrainingData, TrainingData]]:
        return {}

    def _data(self, size: Size) -> tuple[TrainingData, TrainingData]:
        """Both splits; one size at a time is held."""
        if size not in self._read:
            self._read.clear()
            self._read[size] = (read_data(*self.learnt[size]), read_data(*self.val[size]))
        return self._read[size]

    def train(self, trial: Trial, workspace: Workspace, on_epoch: OnEpoch) -> Trained:
        size = size_of(trial.detector)
        model = train(
            *self._data(size),
            trial.detector,
            trial.settings,
            self.trained,
            predict=self.predict,
            on_epoch=on_epoch,
            checkpoint=workspace.below(CHECKPOINT),
        ).model
        return Trained(model, read_data(*self.proof[size]) if trial.phase == "proof" else None)


@dataclass(frozen=True)
class RetinaNetKind:
    """The value ``retinanet`` of ``tune.trainer``: every setting can be set."""

    cpus: float
    gpus: float

    @property
    def usual(self) -> TrainSettings | None:
        return TrainSettings()

    def refusal(self, lever: str, value: Any) -> str | None:
        return None

    def baseline(self, settings: TrainSettings) -> TrainSettings:
        return settings

    def own(self, name: str) -> Any:
        raise UsageError(f"tune.space: {name} is of the trainer command, and tune.trainer is retinanet")

    def prepare(self, flow: Flow, task: Preparation) -> Ready:
        space, stage = task.space, task.stage
        for settings in space.neighbours:
            check_class_names(settings, task.trained)
        work = prepare.Work(
            flow.data, task.run, task.detector, task.trained, task.predict.max_unreadable, _columns(space)
        )
        splits = _splits(space, stage)
        prepared = flow.map(PREPARE, work, splits)
        last = PROOF if PROOF in splits else VAL
        pictures = {name: _pictures(name, splits, prepared) for name in (TRAIN, VAL, last)}
        first = [prepared[key].facts for key, split in splits.items() if split.is_first]
        images_in, kept = sum(one.images_in for one in first), sum(one.images for one in first)
        return Ready(
            RetinaNetTrainer(task.predict, task.trained, pictures[TRAIN], pictures[VAL], pictures[last]),
            prepared[VAL]["truth"],
            prepared[last]["truth"],
            {key: prepared[key].facts.classes for key in stage.splits if key != TRAIN},
            {"in": images_in, "kept": kept, "quarantined": images_in - kept},
        )


def _pictures(name: str, splits: Mapping[str, Split], prepared: Results[prepare.Prepared]) -> Pictures:
    images, boxes = prepared.kept("images"), prepared.kept("boxes")
    return {split.size: (images[key], boxes[key]) for key, split in splits.items() if split.name == name}


def _splits(space: Space, stage: ProofStage) -> dict[str, Split]:
    """All splits at the baseline's input size, and then at the others of the space."""
    found: dict[str, Split] = {}
    for size in dict.fromkeys(size_of(detector) for detector in space.detectors):
        is_first = not found
        for name, (keys, images) in stage.splits.items():
            key = name if is_first else f"{name}-{size[0]}x{size[1]}"
            found[key] = Split(name, keys, size, is_first, images)
    return found


def _columns(space: Space) -> Mapping[str, Sequence[str]]:
    """What any trial reads."""
    return max((columns(settings) for settings in space.neighbours), key=lambda found: len(found["annotations"]))

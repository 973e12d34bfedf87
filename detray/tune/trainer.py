"""Who trains: the seam between a tuning and its trainers, `retinanet` and the package `command`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from detray.arrays import Ints
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.flow.workspace import Workspace

if TYPE_CHECKING:
    from detray.tune.proof_stage import ProofStage
    from detray.tune.space import Space
    from detray.tune.trial import Trial


class Reported(Protocol):
    """What an epoch came to: its number, from 1, the detections on val as `EpochResult` has them, and the losses where
    they are known."""

    @property
    def epoch(self) -> int: ...

    @property
    def detections(self) -> pa.Table: ...

    @property
    def class_loss(self) -> float | None: ...

    @property
    def box_loss(self) -> float | None: ...


OnEpoch = Callable[[Reported], float | None]
"""Called after each epoch, of one that was cut off again; says how good it is: more than of any before where it is the
best so far, None where nobody knows. What it raises ends the training."""


class Model(Protocol):
    """What a training keeps: the weights of the epoch that its trial is."""

    def files(self) -> Mapping[str, bytes]:
        """The model's files by name."""
        ...

    def milliseconds(self) -> float | None:
        """What inference takes a picture; None where nobody knows."""
        ...

    def proven(self) -> tuple[pa.Table, Ints]:
        """The detections on what finalists are judged on, and the ids of its pictures; of a proof's training only."""
        ...


class Trainer(Protocol):
    """Trains a trial's configuration wherever the trial runs; small and picklable."""

    def train(self, trial: "Trial", workspace: Workspace, on_epoch: OnEpoch) -> Model:
        """Train, or go on with what is left; ``workspace`` is the trial's.

        Raises:
            DetrayError: it failed, with the reason.
        """
        ...


@dataclass(frozen=True)
class Preparation:
    """What a trainer is made for. ``trained`` are the classes of the training split, category_id to name."""

    run: str
    detector: DetectorSettings
    predict: PredictSettings
    trained: Mapping[int, str]
    space: "Space"
    stage: "ProofStage"


@dataclass(frozen=True)
class Ready:
    """A trainer, and the ground truth that it is judged by.

    ``found`` are the classes with boxes that count, by part of the data; ``counts`` pictures in, kept and in
    quarantine.
    """

    trainer: Trainer
    truth: Kept
    proof_truth: Kept
    found: Mapping[str, Sequence[int]]
    counts: Mapping[str, int]


class TrainerKind(Protocol):
    """A value of ``tune.trainer``."""

    @property
    def cpus(self) -> float:
        """That a trial holds."""
        ...

    @property
    def gpus(self) -> float:
        """That a trial holds."""
        ...

    @property
    def usual(self) -> TrainSettings | None:
        """What it trains with where nothing is stated; None where nobody knows."""
        ...

    def refusal(self, lever: str, value: Any) -> str | None:
        """Why a setting, by its dotted name, cannot be set to a value; None: it can be."""
        ...

    def baseline(self, settings: TrainSettings) -> TrainSettings:
        """The settings of the baseline, where the trainer's own configuration states some of them."""
        ...

    def own(self, name: str) -> Any:
        """The value that the trainer's own configuration has for a name that is no setting of detray.

        Raises:
            UsageError: it has no place for it.
        """
        ...

    def prepare(self, flow: Flow, task: Preparation) -> Ready:
        """Make the trainer.

        Raises:
            UsageError: the data or the settings are not such as it can train with.
        """
        ...

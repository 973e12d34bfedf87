"""The value ``command`` of ``tune.trainer``."""

from dataclasses import dataclass
from typing import Any

from detray.detectors.settings import TrainSettings
from detray.detectors.training.history import TRAIN, VAL
from detray.errors import UsageError
from detray.flow.flow import Flow
from detray.pipeline.read import read_pipeline
from detray.tune.command.configuration import Configuration, NoConfiguration, read_structured
from detray.tune.command.data import Listed
from detray.tune.command.exported import Runner
from detray.tune.command.pipeline import Pipeline, stated_records
from detray.tune.command.settings import CommandSettings
from detray.tune.command.trainer import CommandTrainer
from detray.tune.prepare import TRUTH_STEP, TruthWork
from detray.tune.proof_stage import PROOF
from detray.tune.trainer import Preparation, Ready


@dataclass(frozen=True)
class CommandKind:
    """``settings`` with full paths; ``train`` as configured."""

    settings: CommandSettings
    configuration: Configuration
    train: TrainSettings
    runner: Runner

    @property
    def cpus(self) -> float:
        return self.settings.cpus

    @property
    def gpus(self) -> float:
        return self.settings.gpus

    @property
    def usual(self) -> TrainSettings | None:
        return None

    def refusal(self, lever: str, value: Any) -> str | None:
        return self.configuration.refusal(lever, value)

    def baseline(self, settings: TrainSettings) -> TrainSettings:
        return self.configuration.baseline(settings)

    def own(self, name: str) -> Any:
        return self.configuration.own(name)

    def prepare(self, flow: Flow, task: Preparation) -> Ready:
        parts = task.stage.splits
        tasks = {name: part for name, part in parts.items() if name != TRAIN}
        truths = flow.map(TRUTH_STEP, TruthWork(flow.data), tasks)
        last = PROOF if PROOF in parts else VAL
        configuration = self.configuration
        has_records = isinstance(configuration, Pipeline) and configuration.has_records
        trainer = CommandTrainer(
            self.settings,
            configuration,
            Listed(flow.data, parts, task.trained),
            self.baseline(self.train),
            self.runner,
            stated_records(configuration.file) if isinstance(configuration, Pipeline) and has_records else (),
        )
        images = sum(key.n_images for key in flow.data.shards([TRAIN])) + sum(one.images for one in truths.facts)
        return Ready(
            trainer,
            truths[VAL]["truth"],
            truths[last]["truth"],
            {key: truths[key].facts.classes for key in tasks},
            {"in": images, "kept": images, "quarantined": 0},
        )


def read_configuration(settings: CommandSettings, *, has_records: bool) -> Configuration:
    """The program's own configuration; ``has_records``: the training split is read from TFRecords.

    Raises:
        UsageError: it is not there, or is none.
    """
    path = settings.config
    if path is None:
        return NoConfiguration(settings.run)
    if path.endswith((".json", ".yaml", ".yml")):
        return read_structured(path, settings)
    if settings.levers:
        raise UsageError("tune.command.levers are of JSON and YAML; a pipeline.config has its own fields")
    return Pipeline(read_pipeline(path), settings.run, has_records)


def require_runnable(settings: CommandSettings, configuration: Configuration) -> None:
    """Refuse a program that is not told where to write, or not told its configuration.

    Raises:
        UsageError: it is one of these.
    """
    if not settings.run:
        raise UsageError("tune.trainer is command, so tune.command.run must name the program and its arguments")
    words = " ".join(settings.run)
    told = configuration.names()
    if "{output}" not in words and "output" not in told:
        raise UsageError("tune.command.run lacks {output}, the folder into which the program writes what it reports")
    if settings.config is not None and "{config}" not in words:
        raise UsageError("tune.command.run lacks {config}, the trial's copy of tune.command.config")
    if settings.reports == "detections" and "{detect}" not in words and "detect" not in told:
        raise UsageError(
            "tune.command.run lacks {detect}, the pictures to detect on; a program that exports models instead has"
            " tune.command.reports models"
        )

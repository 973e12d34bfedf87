"""The stage ``tune``."""

import shlex
from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from detray.detectors.catalogue import DETECTORS, require_trainable
from detray.detectors.retinanet.pretrained import require_weights
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.history import TRAIN, VAL
from detray.errors import UsageError
from detray.extras import SEARCH, TRAINING
from detray.flow.events import Tell
from detray.flow.executor import Executor, InProcess
from detray.flow.flow import Flow
from detray.formats.tfrecord.reader import TFRecord
from detray.settings import to_yaml
from detray.store import absolute
from detray.tune import serial
from detray.tune.command.exported import Runner
from detray.tune.command.kind import CommandKind, read_configuration, require_runnable
from detray.tune.command.settings import CommandSettings
from detray.tune.command.trainer import DETECTIONS
from detray.tune.flow import BEST, Request, RunTrials, tune
from detray.tune.proof_stage import TEST
from detray.tune.retinanet import RetinaNetKind
from detray.tune.trainer import TrainerKind
from detray.verbs.base import Context, Outcome, StageDefinition
from detray.verbs.base import command as command_of
from detray.verbs.classes import stated
from detray.verbs.config import Config
from detray.verbs.pictures import read_pictures, require_pictures
from detray.verbs.pipeline import read_stated


def check(context: Context) -> None:
    """Refuse a detector that cannot be trained, weights of another backbone, and a program that cannot be run."""
    config = context.config
    missing = [split for split in (TRAIN, VAL) if split not in config.dataset.splits]
    if missing:
        raise UsageError(f"tuning trains on the split train and judges on val; dataset.splits has no {missing[0]}")
    if config.tune.trainer == "command":
        command = _placed(config)
        require_runnable(command, read_configuration(command, has_records=True))
        return
    require_trainable(config.detector, "tuning")
    require_weights(config.detector)


def run(context: Context, flow: Flow) -> Outcome:
    """Hand the flow who trains, and the run that fits where it is."""
    config = context.config
    configure = partial(_configuration, config, absolute(context.store.root).rstrip("/"))
    request = Request(
        *(config.name, config.detector, config.predict, config.train, config.tune, _trainer(context, flow), configure),
        command_of(STAGE.name, config),
        pipeline=read_stated(config) if config.tune.trainer == "retinanet" else None,
    )
    return tune(flow, request, _runner(context.executor, partial(flow.happened, "search")))


def _trainer(context: Context, flow: Flow) -> TrainerKind:
    config = context.config
    if config.tune.trainer == "retinanet":
        require_pictures(config, flow.data, (TRAIN, VAL, config.tune.proof_split or TEST))
        return RetinaNetKind(config.cluster.cpus_per_task, config.cluster.gpus_per_actor)
    formats = (flow.data.manifest("ingest") or {}).get("facts", {}).get("formats", {})
    command = _placed(config)
    configuration = read_configuration(command, has_records=formats.get(TRAIN) == TFRecord.name)
    runner = Runner(config.detector, config.predict, stated(config), context.trust_model)
    return CommandKind(command, configuration, config.train, runner)


def _placed(config: Config) -> CommandSettings:
    """The program with full paths, as it may run on another machine."""
    command = config.tune.command
    return replace(command, folder=absolute(command.folder), config=command.config and absolute(command.config))


def _runner(executor: Executor, tell: Tell) -> RunTrials:
    if isinstance(executor, InProcess):
        return serial.run_trials
    from detray.cluster import tuning  # Tune is slow to import
    from detray.cluster.ray_executor import RayExecutor

    if not isinstance(executor, RayExecutor):
        raise TypeError("Ray Tune runs where Ray runs the other stages")
    return partial(tuning.run_trials, workers=executor.workers, watch=partial(executor.watch, tell))


def _configuration(
    config: Config,
    output: str,
    train: TrainSettings,
    detector: DetectorSettings,
    focus: tuple[str, ...],
    files: Sequence[str],
) -> str:
    """The configuration of a run with the tuned model of some files, which names model and data by their full place."""
    place = f"{output}/{STAGE.name}/{BEST}/model"
    if config.tune.trainer == "command":
        detector = replace(detector, **_made_by_command(place, files))
    else:
        detector = replace(detector, path=place, weights=detector.weights and absolute(detector.weights))
    whole = replace(
        config,
        name=f"{config.name}-best",
        output=f"{output}-best",
        dataset=replace(config.dataset, root=absolute(config.dataset.root)),
        detector=detector,
        train=replace(train, focus=focus),  # so that a training keeps the epoch that the trial kept
        tune=replace(config.tune, focus=focus),
    )
    return to_yaml(whole)


def _made_by_command(place: str, files: Sequence[str]) -> Mapping[str, str]:
    """The kind and the path of what a program left: a model, or else its detections."""
    for kind in DETECTORS:
        for name in files:
            if name == kind.marker:
                return {"kind": kind.name, "path": place}
            if kind.marker.startswith(".") and name.endswith(kind.marker):
                return {"kind": kind.name, "path": f"{place}/{name}"}
    return {"kind": "predictions", "path": f"{place}/{DETECTIONS}"}


def _then(config: Config, outcome: Outcome) -> str | None:
    """The winner, evaluated and diagnosed."""
    if not outcome.facts["is_win"]:
        return None
    best = f"{config.output.rstrip('/')}/tune/{BEST}/config.yaml"
    return f"detray run --config {shlex.quote(best)}: evaluates and diagnoses the winner"


STAGE = StageDefinition(
    name="tune",
    tables=("trials", "trial_class_metrics", "class_deltas"),
    sections=("dataset", "detector", "train", "predict", "diagnose", "tune"),
    run=run,
    check=check,
    pictures=read_pictures,
    gpus=lambda config: True,
    modules=lambda config: SEARCH if config.tune.trainer == "command" else (*TRAINING, *SEARCH),
    needs=lambda config: (
        ("ingest", "diagnose") if not config.tune.focus or config.tune.space == "auto" else ("ingest",)
    ),
    uses=("audit",),
    inputs=lambda config: (
        (_placed(config).config or "",) if config.tune.trainer == "command" and config.tune.command.config else ()
    ),
    is_for_people=True,
    then=_then,
)

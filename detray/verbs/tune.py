"""The stage ``tune``."""

from functools import partial

from msgspec.structs import replace

from detray.detectors.catalogue import require_trainable
from detray.detectors.retinanet.pretrained import require_weights
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.history import TRAIN, VAL
from detray.errors import UsageError
from detray.flow.executor import Executor, InProcess
from detray.flow.flow import Flow
from detray.settings import to_yaml
from detray.store import absolute
from detray.tune import serial
from detray.tune.flow import BEST, Request, RunSearch, tune
from detray.tune.proof_stage import TEST
from detray.verbs.base import Context, Outcome, StageDefinition
from detray.verbs.config import Config
from detray.verbs.pictures import read_pictures, require_pictures
from detray.verbs.pipeline import read_stated


def check(context: Context) -> None:
    """Refuse a detector that cannot be trained, and weights of another backbone."""
    config = context.config
    require_trainable(config.detector, "tuning")
    missing = [split for split in (TRAIN, VAL) if split not in config.dataset.splits]
    if missing:
        raise UsageError(f"tuning trains on the split train and judges on val; dataset.splits has no {missing[0]}")
    require_weights(config.detector)


def run(context: Context, flow: Flow) -> Outcome:
    """Hand the flow the search that fits where it runs."""
    config = context.config
    require_pictures(config, flow.data, (TRAIN, VAL, config.tune.proof_split or TEST))
    gpus = config.cluster.gpus_per_actor
    configure = partial(_configuration, config, absolute(context.store.root).rstrip("/"))
    request = Request(
        *(config.name, config.detector, config.predict, config.train, config.tune, gpus, configure),
        pipeline=read_stated(config),
    )
    return tune(flow, request, _searcher(context.executor))


def _searcher(executor: Executor) -> RunSearch:
    if isinstance(executor, InProcess):
        return serial.run_search
    from detray.cluster import tuning  # Tune is slow to import

    return partial(tuning.run_search, workers=executor.workers)


def _configuration(
    config: Config, output: str, train: TrainSettings, detector: DetectorSettings, focus: tuple[str, ...]
) -> str:
    """The configuration of a run with the tuned model, which names both model and data by their full place."""
    detector = replace(
        detector,
        path=f"{output}/{STAGE.name}/{BEST}/model",
        weights=detector.weights and absolute(detector.weights),
    )
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


STAGE = StageDefinition(
    name="tune",
    tables=("trials", "trial_class_metrics", "class_deltas"),
    sections=("dataset", "detector", "train", "predict", "diagnose", "tune"),
    run=run,
    check=check,
    pictures=read_pictures,
    gpus=lambda config: True,
    needs=lambda config: (
        ("ingest", "diagnose") if not config.tune.focus or config.tune.space == "auto" else ("ingest",)
    ),
    uses=("audit",),
    is_for_people=True,
)

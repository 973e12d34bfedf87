"""The stage ``folds``: labels suspected by detectors that have not seen the pictures."""

from msgspec.structs import replace

from detray.detectors.catalogue import require_trainable
from detray.detectors.retinanet.pretrained import require_weights
from detray.detectors.training.history import TRAIN, VAL
from detray.errors import UsageError
from detray.extras import TRAINING
from detray.flow.flow import Flow
from detray.folds.flow import folds
from detray.folds.steps import FoldsWork
from detray.store import absolute
from detray.verbs.base import Context, Outcome, StageDefinition
from detray.verbs.config import Config
from detray.verbs.pictures import read_pictures, require_pictures


def _splits(config: Config) -> tuple[str, ...]:
    return tuple(split for split in (TRAIN, VAL) if split in config.dataset.splits)


def check(context: Context) -> None:
    """Refuse a detector that cannot be trained, and a data set without pictures to train on."""
    config = context.config
    if not config.clean.folds:
        raise UsageError("clean.folds is 0: set it to the number of folds, 2 or more")
    require_trainable(config.detector, "clean.folds")
    if not _splits(config):
        raise UsageError(f"clean.folds looks at the splits {TRAIN} and {VAL}, and dataset.splits has neither")
    require_weights(config.detector)


def run(context: Context, flow: Flow) -> Outcome:
    """Hand the flow the detector that is trained fold by fold."""
    config = context.config
    require_pictures(config, flow.data, _splits(config))
    weights = config.detector.weights
    detector = replace(config.detector, weights=absolute(weights)) if weights else config.detector
    work = FoldsWork(
        flow.data,
        config.name,
        _splits(config),
        config.clean.folds,
        detector,
        config.train,
        config.predict.max_unreadable,
    )
    return folds(flow, work, config.cluster.gpus_per_actor)


STAGE = StageDefinition(
    name="folds",
    tables=("predictions", "label_errors"),
    sections=("detector", "train", "predict.max_unreadable", "clean.folds"),
    run=run,
    check=check,
    pictures=read_pictures,
    gpus=lambda config: True,
    modules=lambda config: TRAINING,
    needs=lambda config: ("ingest", "audit"),
    inputs=lambda config: (config.detector.weights,) if config.detector.weights else (),
)

"""The stage ``predict``: the detections of every image, by a detector or from another tool's file."""

from detray.errors import UsageError
from detray.flow.data import names_of
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.formats.detections.flow import take_over
from detray.formats.label_map import read_category_map
from detray.store import Stage
from detray.verbs.base import Context, Old, StageDefinition
from detray.verbs.config import Config
from detray.verbs.inference import infer


def run(context: Context, flow: Flow) -> Outcome:
    """Take over the detections of a file."""
    config = context.config
    _check_splits(config)
    path, splits = config.detector.path, config.predict.splits
    if path is None:
        raise UsageError("detector.kind is predictions, so detector.path must name the file of detections")
    if len(splits) != 1:
        raise UsageError(f"a file of detections is of one split, but predict.splits names {len(splits)}")
    classes = read_category_map(config.predict.category_map, names_of(flow.data, splits[0]))
    return take_over(flow, path, splits[0], classes, config.name)


def old(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    _check_splits(context.config)
    return infer(context, stage, done)


def _check_splits(config: Config) -> None:
    absent = [split for split in config.predict.splits if split not in config.dataset.splits]
    if absent:
        there = ", ".join(config.dataset.splits) or "none"
        raise UsageError(f"predict.splits names {absent[0]}, but dataset.splits has {there}")


def needs(config: Config) -> tuple[str, ...]:
    is_trained = config.detector.path is not None or config.detector.is_precomputed
    return ("ingest",) if is_trained else ("ingest", "train")


STAGE = StageDefinition(
    name="predict",
    tables=("predictions",),
    sections=("detector", "predict"),
    run=run,
    old=old,
    needs=needs,
    inputs=lambda config: tuple(
        path for path in (config.detector.path, config.predict.category_map) if isinstance(path, str)
    ),
)

"""The stage ``predict``: the detections of every image, by a detector or from another tool's file."""

from detray.errors import UsageError
from detray.stages.base import Context, Outcome, StageDefinition
from detray.stages.config import Config
from detray.stages.inference import infer
from detray.stages.precomputed import take_over
from detray.store import Json, Stage


def run(context: Context, stage: Stage, done: dict[str, Json]) -> Outcome:
    config = context.config
    absent = [split for split in config.predict.splits if split not in config.dataset.splits]
    if absent:
        there = ", ".join(config.dataset.splits) or "none"
        raise UsageError(f"predict.splits names {absent[0]}, but dataset.splits has {there}")
    if config.detector.kind == "predictions":
        return take_over(context, stage, done)
    return infer(context, stage, done)


def needs(config: Config) -> tuple[str, ...]:
    is_trained = config.detector.path is not None or config.detector.kind == "predictions"
    return ("ingest",) if is_trained else ("ingest", "train")


STAGE = StageDefinition(
    name="predict",
    tables=("predictions",),
    sections=("detector", "predict"),
    run=run,
    needs=needs,
    inputs=lambda config: tuple(
        path for path in (config.detector.path, config.predict.category_map) if isinstance(path, str)
    ),
)

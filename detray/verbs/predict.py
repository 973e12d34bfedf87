"""The stage ``predict``: the detections of every image, by a detector or from another tool's file."""

from detray.errors import UsageError
from detray.store import Stage
from detray.verbs.base import Context, Old, StageDefinition
from detray.verbs.config import Config
from detray.verbs.inference import infer
from detray.verbs.precomputed import take_over


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    config = context.config
    absent = [split for split in config.predict.splits if split not in config.dataset.splits]
    if absent:
        there = ", ".join(config.dataset.splits) or "none"
        raise UsageError(f"predict.splits names {absent[0]}, but dataset.splits has {there}")
    if config.detector.is_precomputed:
        return take_over(context, stage, done)
    return infer(context, stage, done)


def needs(config: Config) -> tuple[str, ...]:
    is_trained = config.detector.path is not None or config.detector.is_precomputed
    return ("ingest",) if is_trained else ("ingest", "train")


STAGE = StageDefinition(
    name="predict",
    tables=("predictions",),
    sections=("detector", "predict"),
    old=run,
    needs=needs,
    inputs=lambda config: tuple(
        path for path in (config.detector.path, config.predict.category_map) if isinstance(path, str)
    ),
)

"""The stage ``predict``: the detections of every image, by a detector or from another tool's file."""

from collections.abc import Mapping

from detray.detectors import flow as inference
from detray.detectors.catalogue import detector_kind
from detray.detectors.readings import require_runnable
from detray.errors import UsageError
from detray.flow.data import names_of
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.formats.detections.flow import take_over
from detray.formats.label_map import read_category_map
from detray.store import absolute
from detray.verbs.base import Context, StageDefinition
from detray.verbs.config import Config
from detray.verbs.pictures import read_pictures, require_pictures


def run(context: Context, flow: Flow) -> Outcome:
    """Detect, or take over the detections of a file."""
    config = context.config
    splits = config.predict.splits
    absent = [split for split in splits if split not in config.dataset.splits]
    if absent:
        there = ", ".join(config.dataset.splits) or "none"
        raise UsageError(f"predict.splits names {absent[0]}, but dataset.splits has {there}")
    names = {split: names_of(flow.data, split) for split in splits}
    meant = {split: read_category_map(config.predict.category_map, own) for split, own in names.items()}
    if not config.detector.is_precomputed:
        require_pictures(config, flow.data, splits)
        return inference.infer(flow, _inference(context, names, meant), splits, config.cluster.gpus_per_actor, names)
    if config.detector.path is None:
        raise UsageError("detector.kind is predictions, so detector.path must name the file of detections")
    if len(splits) != 1:
        raise UsageError(f"a file of detections is of one split, but predict.splits names {len(splits)}")
    return take_over(flow, config.detector.path, splits[0], meant[splits[0]], config.name)


def _inference(
    context: Context, names: Mapping[str, Mapping[int, str]], meant: Mapping[str, Mapping[int, int]]
) -> inference.Work:
    """The detector that is configured, or the one that was trained, and what its class ids mean by split."""
    config = context.config
    path = absolute(config.detector.path or f"{context.store.root.rstrip('/')}/train/model")
    require_runnable(config.detector, path, config.predict, context.store, trust_model=context.trust_model)
    classes = detector_kind(config.detector).read_classes(config.detector, path)
    return inference.Work(
        context.store,
        config.name,
        inference.model_name(config.detector),
        path,
        config.detector,
        config.predict,
        {split: inference.labels_of(classes, meant[split], own) for split, own in names.items()},
        context.trust_model,
    )


def _needs(config: Config) -> tuple[str, ...]:
    is_trained = config.detector.path is not None or config.detector.is_precomputed
    return ("ingest",) if is_trained else ("ingest", "train")


STAGE = StageDefinition(
    name="predict",
    tables=("predictions",),
    sections=("detector", "predict"),
    run=run,
    pictures=lambda config: () if config.detector.is_precomputed else read_pictures(config),
    gpus=True,
    needs=_needs,
    inputs=lambda config: tuple(
        path
        for path in (config.detector.path, config.detector.io.anchors, config.predict.category_map)
        if isinstance(path, str)
    ),
)

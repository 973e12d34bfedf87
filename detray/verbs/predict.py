"""The stage ``predict``: the detections of every image, by a detector or from another tool's file."""

from dataclasses import replace

from detray.detectors import flow as inference
from detray.detectors.catalogue import detector_kind, is_trainable, modules_of
from detray.detectors.readings import require_model, require_runnable
from detray.detectors.settings import PredictSettings
from detray.detectors.training.history import TRAIN
from detray.detectors.trial import meaning_of
from detray.errors import DetrayError, UsageError
from detray.flow.data import names_of
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.flow.sample import Sample
from detray.formats.detections.flow import take_over
from detray.store import absolute
from detray.verbs.base import Context, StageDefinition, command
from detray.verbs.classes import stated
from detray.verbs.config import Config
from detray.verbs.pictures import pictured, read_pictures, require_pictures


def check(context: Context) -> None:
    """Refuse what is not configured as a whole, and a model that cannot be run, as far as it says so by itself."""
    config = context.config
    splits, detector = config.predict.splits, config.detector
    absent = [split for split in splits if split not in config.dataset.splits]
    if absent:
        there = ", ".join(config.dataset.splits) or "none"
        raise UsageError(f"predict.splits names {absent[0]}, but dataset.splits has {there}")
    if detector.path is None:
        if detector.is_precomputed:
            raise UsageError("detector.kind is predictions, so detector.path must name the file of detections")
        if not is_trainable(detector):
            raise UsageError(f"detector.kind is {detector.kind}, so detector.path must name the model")
    if not detector.is_precomputed:
        if detector.path is not None:
            require_model(detector, absolute(detector.path), trust_model=context.trust_model)
        return
    if changed := _of_a_detector(config.predict):
        raise UsageError(f"predict.{changed[0]} is for a detector that is run, and detector.kind is predictions")
    if len(splits) != 1:
        raise UsageError(f"a file of detections is of one split, but predict.splits names {len(splits)}")


def run(context: Context, flow: Flow) -> Outcome:
    """Detect, or take over the detections of a file."""
    config = context.config
    if config.detector.is_precomputed and config.detector.path is not None:
        return take_over(flow, config.detector.path, config.predict.splits[0], stated(config), config.name)
    require_pictures(config, flow.data, config.predict.splits)
    return _infer(context, flow)


def _of_a_detector(predict: PredictSettings) -> list[str]:
    """Settings that a file of detections cannot follow."""
    usual = PredictSettings()
    return [n for n in ("tiles", "flip", "score_thresholds", "nms") if getattr(predict, n) != getattr(usual, n)]


def _infer(context: Context, flow: Flow) -> Outcome:
    """Run the detector that is configured, or the one that was trained, once it is known what its class ids mean."""
    config, splits, gpus = context.config, context.config.predict.splits, context.config.cluster.gpus_per_actor
    path = absolute(config.detector.path or f"{context.store.root.rstrip('/')}/train/model")
    require_runnable(config.detector, path, config.predict, context.store, trust_model=context.trust_model)
    work = inference.Work(
        context.store,
        config.name,
        inference.model_name(config.detector),
        path,
        config.detector,
        config.predict,
        {},
        context.trust_model,
    )
    classes, layout = detector_kind(config.detector).read_classes(config.detector, path), work.layout()
    names = {split: names_of(flow.data, split) for split in splits}
    known = [*classes.values(), *(name for own in names.values() for name in own.values())]
    if unknown := [name for name in config.predict.score_thresholds if name not in known]:
        listed = ", ".join(dict.fromkeys(known))
        raise UsageError(f"predict.score_thresholds names the class {unknown[0]} but the classes are {listed}")
    base = None if layout is None else layout.class_base
    meanings = {split: meaning_of(flow, work, split, classes, stated(config), gpus, base) for split in splits}
    labels = {split: meaning.labels(names[split]) for split, meaning in meanings.items()}
    sample = _sample(config, flow)
    if sample is not None:
        own = names_of(flow.data, sample.split)
        alike = next((meanings[split] for split in splits if names[split] == own), None)
        try:
            meaning = alike or meaning_of(flow, work, sample.split, classes, stated(config), gpus, base)
        except DetrayError:  # ids that nobody can tell there are no reason to refuse what is asked for
            sample = None
        else:
            labels[sample.split] = meaning.labels(own)
    return inference.infer(flow, replace(work, labels=labels, sample=sample), splits, gpus, meanings)


def _sample(config: Config, flow: Flow) -> Sample | None:
    """The pictures of the training split that are predicted too."""
    if TRAIN not in pictured(config, flow.data):
        return None
    return inference.sample_of(flow.data, config.predict.splits, TRAIN, config.predict.train_sample)


def _needs(config: Config) -> tuple[str, ...]:
    is_trained = config.detector.path is not None or not is_trainable(config.detector)
    return ("ingest",) if is_trained else ("ingest", "train")


STAGE = StageDefinition(
    name="predict",
    tables=("predictions",),
    sections=("detector", "predict"),
    run=run,
    check=check,
    pictures=lambda config: () if config.detector.is_precomputed else read_pictures(config),
    gpus=lambda config: not config.detector.is_precomputed,
    modules=lambda config: modules_of(config.detector),
    needs=_needs,
    inputs=lambda config: tuple(
        path
        for path in (config.detector.path, config.detector.io.anchors, config.predict.category_map)
        if isinstance(path, str)
    ),
    then=lambda config, outcome: f"{command('diagnose', config)}: says which classes are weak, why, and what to do",
)

"""The stage ``audit``: what the audit is given of the configuration."""

from functools import partial

from detray.audit.augmented import Augment
from detray.audit.flow import AuditInputs, audit
from detray.audit.steps import TRAIN
from detray.audit.summary import StatedLabelMap
from detray.boxes import Reach
from detray.detectors.augmentation.augment import Augmentation
from detray.detectors.augmentation.settings import AugmentationSettings, Policy, loses_boxes
from detray.detectors.catalogue import detector_kind, is_trainable
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.formats.label_map import read_label_map
from detray.formats.resolve import stated_path
from detray.verbs.base import Context, StageDefinition
from detray.verbs.config import Config
from detray.verbs.pictures import pictured, read_pictures
from detray.verbs.pipeline import pipeline_inputs, stated_pipeline


def run(context: Context, flow: Flow) -> Outcome:
    """Audit the data set that ingest wrote."""
    config = context.config
    formats = (context.store.manifest("ingest") or {}).get("facts", {}).get("formats", {})
    policy = config.train.augmentation
    inputs = AuditInputs(
        config.name,
        config.audit,
        _label_map(config),
        _reach(config),
        augment=partial(_augmentation, policy) if loses_boxes(policy) else None,
        formats=formats,
        pictured=pictured(config, flow.data),
        pipeline=stated_pipeline(config),
    )
    return audit(flow, inputs)


def _augmentation(policy: Policy | AugmentationSettings) -> Augment:
    return Augmentation(policy)


def _reach(config: Config) -> Reach | None:
    """What the detector that this configuration trains can see; None where it trains none, or nobody asked for one."""
    trains = config.detector.path is None and is_trainable(config.detector) and TRAIN in config.dataset.splits
    if not trains or not config.audit.detector:
        return None
    reach = detector_kind(config.detector).reach
    return reach(config.detector) if reach is not None else None


def _label_map(config: Config) -> StatedLabelMap | None:
    if config.dataset.label_map is None:
        return None
    found = read_label_map(stated_path(config.dataset.label_map, config.dataset.root, "dataset.label_map"))
    problems = tuple((one.line, f"{one.observed}; expected {one.expected}") for one in found.problems)
    return StatedLabelMap(found.path, found.names, problems)


STAGE = StageDefinition(
    name="audit",
    tables=("findings", "class_stats", "image_stats"),
    sections=(
        "audit",
        "dataset",
        "detector.kind",
        "detector.path",
        "detector.input_width",
        "detector.input_height",
        "train.augmentation",
    ),
    run=run,
    inputs=pipeline_inputs,
    pictures=read_pictures,
    needs=lambda config: ("ingest",),
)

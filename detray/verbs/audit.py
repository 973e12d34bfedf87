"""The stage ``audit``: what the audit is given of the configuration."""

from collections.abc import Iterator
from functools import partial

from detray import extras
from detray.audit.augmented import Augment
from detray.audit.flow import AuditInputs, audit
from detray.audit.steps import TRAIN
from detray.audit.summary import StatedLabelMap
from detray.boxes import Reach
from detray.detectors.augmentation.augment import Augmentation
from detray.detectors.augmentation.settings import AugmentationSettings, Policy, loses_boxes
from detray.detectors.catalogue import detector_kind
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.formats.label_map import read_label_map
from detray.formats.resolve import stated_path
from detray.store import absolute
from detray.verbs.base import Context, StageDefinition, command
from detray.verbs.config import Config
from detray.verbs.pictures import pictured, read_pictures
from detray.verbs.pipeline import pipeline_inputs, stated_pipeline, states_checkpoint


def run(context: Context, flow: Flow) -> Outcome:
    """Audit the data set that ingest wrote."""
    config = context.config
    facts = (context.store.manifest("ingest") or {}).get("facts", {})
    policy = config.train.augmentation
    augments = loses_boxes(policy) and extras.is_installed("albumentations")
    inputs = AuditInputs(
        config.name,
        config.audit,
        _label_map(config),
        _reach(config),
        augment=partial(_augmentation, policy) if augments else None,
        formats=facts.get("formats", {}),
        masks=facts.get("masks", {}),
        pictured=pictured(config, flow.data),
        pipeline=stated_pipeline(config),
    )
    outcome = audit(flow, inputs)
    outcome.notes += _left_out(config)
    return outcome


def _left_out(config: Config) -> Iterator[str]:
    """What a plain install cannot look at, of what the configuration states."""
    asked = {
        "what train.augmentation does to boxes": ("albumentations", loses_boxes(config.train.augmentation)),
        "the checkpoint of the pipeline.config": ("tensorflow", states_checkpoint(config)),
    }
    for what, (module, is_stated) in asked.items():
        if is_stated and not extras.is_installed(module):
            yield f"{what} was not looked at: {extras.install([module])}, and then audit with --force"


def _augmentation(policy: Policy | AugmentationSettings) -> Augment:
    return Augmentation(policy)


def _reach(config: Config) -> Reach | None:
    """What the detector at hand can see: the model at a path, or the one that this configuration trains.

    None where it is not known, or nobody asked.
    """
    detector = config.detector
    if detector.is_precomputed or not config.audit.detector:
        return None
    kind = detector_kind(detector)
    if detector.path is not None:
        return kind.read_reach(detector, absolute(detector.path)) if kind.read_reach is not None else None
    return kind.reach(detector) if kind.reach is not None and TRAIN in config.dataset.splits else None


def _label_map(config: Config) -> StatedLabelMap | None:
    if config.dataset.label_map is None:
        return None
    found = read_label_map(stated_path(config.dataset.label_map, config.dataset.root, "dataset.label_map"))
    problems = tuple((one.line, f"{one.observed}; expected {one.expected}") for one in found.problems)
    return StatedLabelMap(found.path, found.names, problems)


def _then(config: Config, outcome: Outcome) -> str | None:
    """A corrected copy, where edits that are made unasked mend some of the findings."""
    from detray.clean.requests import mended

    found = dict.fromkeys(one["rule"] for one in outcome.facts["findings_by_rule"] if one["severity"] != "info")
    if not (rules := mended(found)):
        return None
    return f"{command('clean', config)} writes a copy in which {', '.join(rules)} is mended where that is certain"


STAGE = StageDefinition(
    name="audit",
    tables=("findings", "class_stats", "image_stats", "drawn_twice"),
    sections=(
        "audit",
        "dataset",
        "detector.kind",
        "detector.path",
        "detector.input_width",
        "detector.input_height",
        "detector.anchors",
        "detector.top_level",
        "train.augmentation",
        "evaluate.protocol",
    ),
    run=run,
    inputs=pipeline_inputs,
    pictures=read_pictures,
    needs=lambda config: ("ingest",),
    then=_then,
)

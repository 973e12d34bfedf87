"""The stage ``diagnose``: what the configuration says, for the flow of the diagnosis."""

from dataclasses import replace

from detray.detectors import flow as inference
from detray.detectors.catalogue import detector_kind, is_trainable, modules_of
from detray.diagnose.counter_tests.model_test import cuts
from detray.diagnose.flow import diagnose
from detray.diagnose.request import ModelAtHand, Request
from detray.evaluate.protocol import protocol_of
from detray.flow.data import Data, names_of
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.formats.label_map import read_label_map
from detray.formats.resolve import stated_path
from detray.meaning.settle import elsewhere
from detray.store import absolute
from detray.verbs.base import Context, StageDefinition, command
from detray.verbs.classes import settled_ids, stated
from detray.verbs.config import Config
from detray.verbs.pictures import pictured, read_pictures
from detray.verbs.pipeline import read_stated


def run(context: Context, flow: Flow) -> Outcome:
    """Diagnose the weak classes of the splits of ``predict.splits``."""
    config = context.config
    request = Request(
        run=config.name,
        splits=config.predict.splits,
        settings=config.diagnose,
        stated=stated(config),
        max_detections=protocol_of(config.evaluate).cap,
        train="train" if "train" in config.dataset.splits else None,
        pipeline=read_stated(config),
    )
    settled = settled_ids(flow.data)
    request = replace(request, settled=settled)
    if config.dataset.label_map is not None and not settled:
        path = stated_path(config.dataset.label_map, config.dataset.root, "dataset.label_map")
        request = replace(request, label_map=read_label_map(path).names)
    if config.detector.is_precomputed:
        return diagnose(flow, replace(request, detections=config.detector.path))
    kind = detector_kind(config.detector)
    path = absolute(config.detector.path or f"{context.store.root.rstrip('/')}/train/model")
    reach = None if kind.read_reach is None else kind.read_reach(config.detector, path)
    classes = kind.read_classes(config.detector, path)
    own = settled.get(config.predict.splits[0])
    if own is not None:  # ids of predictions are the data's: those of the model would only seem to contradict them
        classes = {own.get(k, elsewhere(k, own.values())): name for k, name in classes.items()}
    model = model_at_hand(context, flow.data, path) if _runs_again(config) else None
    request = replace(request, model_classes=classes, reach=reach, model=model)
    return diagnose(flow, replace(request, is_trained_here=config.detector.path is None))


def _runs_again(config: Config) -> bool:
    """Whether the detector is run again: counter-tests are asked for, or settings cut detections that it had."""
    return config.diagnose.confirm or cuts(config.predict)


def model_at_hand(context: Context, data: Data, path: str) -> ModelAtHand:
    """The detector as predict ran it; what its class ids mean there was settled then."""
    config, settled, labels = context.config, settled_ids(data), {}
    for split in config.predict.splits:
        names = names_of(data, split)
        ids = settled.get(split) or {k: k for k in names}
        labels[split] = {k: (meant, names.get(meant, str(meant))) for k, meant in ids.items()}
    name = inference.model_name(config.detector)
    work = inference.Work(
        context.store, config.name, name, path, config.detector, config.predict, labels, context.trust_model
    )
    return ModelAtHand(work, pictured(config, data))


def inputs(config: Config) -> tuple[str, ...]:
    """Further files that the diagnosis reads."""
    pipeline = read_stated(config)
    stated = None if pipeline is None else pipeline.path
    read = (config.diagnose.train_detections, config.diagnose.base_detections, stated)
    return tuple(path for path in read if path is not None)


def _modules(config: Config) -> tuple[str, ...]:
    """The detector is run again where remedies are tried or settings cut, and else only read."""
    if _runs_again(config) or config.detector.is_precomputed:
        return modules_of(config.detector)
    return detector_kind(config.detector).read_modules


def _then(config: Config, outcome: Outcome) -> str | None:
    """Tuning, where a remedy is a search and the detector is trained here."""
    trains = config.detector.path is None and is_trainable(config.detector) and "train" in config.dataset.splits
    if not trains or not any(facts["tuned"] for facts in outcome.facts.values()):
        return None
    return f"{command('tune', config)} searches what the remedies name, and proves a gain on fresh seeds"


STAGE = StageDefinition(
    name="diagnose",
    tables=("diagnoses", "label_errors"),
    sections=("diagnose", "predict", "detector", "evaluate.max_detections", "evaluate.protocol"),
    run=run,
    needs=lambda config: ("ingest", "predict"),
    tries=("evaluate",),
    uses=("audit",),
    inputs=inputs,
    pictures=lambda config: read_pictures(config) if _runs_again(config) and not config.detector.is_precomputed else (),
    modules=_modules,
    then=_then,
)

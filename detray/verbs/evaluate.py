"""The stage ``evaluate``."""

from pathlib import Path

from detray.errors import UsageError
from detray.evaluate.against import OtherModel, OtherPredictions, OtherRun
from detray.evaluate.flow import TABLES, evaluate
from detray.flow.flow import Flow
from detray.formats.detections.file import read_file
from detray.formats.detections.flow import FilePredictions
from detray.formats.detections.meaning import meaning_of
from detray.formats.figures import read_figures
from detray.formats.label_map import read_label_map
from detray.formats.resolve import stated_path
from detray.meaning.settle import Stated
from detray.store import Store, absolute
from detray.verbs.base import Context, Outcome, StageDefinition, command
from detray.verbs.classes import stated


def run(context: Context, flow: Flow) -> Outcome:
    """Evaluate the predictions of ``predict.splits``, against another model's if one is named."""
    config = context.config
    aliases: dict[str, int] = {}
    if config.evaluate.protocol == "open_images" and config.dataset.label_map is not None:
        path = stated_path(config.dataset.label_map, config.dataset.root, "dataset.label_map")
        aliases = read_label_map(path).ids
    expect = dict(config.evaluate.expect)
    if config.evaluate.expect_file is not None:
        expect = read_figures(config.evaluate.expect_file) | expect
    return evaluate(flow, config.name, config.predict.splits, config.evaluate, _other(context, flow), aliases, expect)


def _other(context: Context, flow: Flow) -> OtherModel | None:
    """The model ``evaluate.against``, by another name than that of the model it is compared with.

    Raises:
        UsageError: it is a file of detections, and several splits are evaluated.
    """
    config = context.config
    path, splits = config.evaluate.against, config.predict.splits
    if path is None:
        return None
    predict, manifest = flow.data.manifest("predict") or {}, Store(path).manifest("predict")
    if manifest is None and len(splits) != 1:
        raise UsageError(f"{path}: a file of detections is of one split, but predict.splits names {len(splits)}")
    name = Path(path).stem if manifest is None else manifest["facts"].get("model", path)
    if name == predict.get("facts", {}).get("model", "detections"):
        name = path
    found: OtherPredictions
    if manifest is None:
        file = read_file(flow, path, splits[0], "other-")
        meaning = meaning_of(flow, path, file, splits[0], Stated(label_map=stated(config).label_map), "other-")
        found = FilePredictions(file, config.name, name, STAGE.name, meaning)
    else:
        found = OtherRun(Store(absolute(path)))
    return OtherModel(name, path, found)


STAGE = StageDefinition(
    name="evaluate",
    tables=TABLES,
    sections=("evaluate",),
    run=run,
    needs=lambda config: ("ingest", "predict"),
    uses=("audit/drawn_twice",),
    inputs=lambda config: tuple(
        path
        for path in (
            config.evaluate.against,
            config.evaluate.hierarchy,
            config.evaluate.image_labels,
            config.evaluate.expect_file,
        )
        if path is not None
    ),
    then=lambda config, outcome: f"{command('diagnose', config)}: says why classes are weak, and what to do",
)

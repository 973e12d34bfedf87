"""The stage ``ingest``."""

from collections.abc import Sequence

from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.formats.flow import TABLES, ingest
from detray.formats.label_map import read_label_map
from detray.formats.resolve import input_paths, picture_places, resolve, stated_path
from detray.verbs.base import Context, StageDefinition, command
from detray.verbs.config import Config


def run(context: Context, flow: Flow) -> Outcome:
    """Hand the flow the data set and what its label map says."""
    dataset, name = context.config.dataset, context.config.name
    stated = dataset.label_map
    label_map = read_label_map(stated_path(stated, dataset.root, "dataset.label_map")) if stated is not None else None
    return ingest(flow, resolve(dataset), label_map, name)


def _inputs(config: Config) -> Sequence[str]:
    """Pictures are a part of the data set: where one changes, goes or comes back, no stage is current."""
    return list(dict.fromkeys([*input_paths(config.dataset), *picture_places(config.dataset)]))


STAGE = StageDefinition(
    name="ingest",
    tables=TABLES,
    sections=("dataset",),
    run=run,
    inputs=_inputs,
    then=lambda config, outcome: f"{command('audit', config)}: validates every annotation",
)

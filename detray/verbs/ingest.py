"""The stage ``ingest``."""

from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.formats.flow import TABLES, ingest
from detray.formats.label_map import read_label_map
from detray.formats.resolve import input_paths, resolve, stated_path
from detray.verbs.base import Context, StageDefinition


def run(context: Context, flow: Flow) -> Outcome:
    dataset, name = context.config.dataset, context.config.name
    stated = dataset.label_map
    label_map = read_label_map(stated_path(stated, dataset.root, "dataset.label_map")) if stated is not None else None
    return ingest(flow, resolve(dataset), label_map, name)


STAGE = StageDefinition(
    name="ingest",
    tables=TABLES,
    sections=("dataset",),
    run=run,
    inputs=lambda config: input_paths(config.dataset),
)

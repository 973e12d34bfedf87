"""The stage ``report``."""

from collections.abc import Sequence

from detray.errors import UsageError
from detray.flow.flow import Flow
from detray.report.flow import report
from detray.verbs.base import Context, Outcome, StageDefinition
from detray.verbs.config import Config
from detray.verbs.pictures import read_pictures


def run(context: Context, flow: Flow) -> Outcome:
    """Hand the flow the output folder, all of which the page is about."""
    return report(flow, context.store, context.config.name, context.config.report)


def _inputs(config: Config) -> Sequence[str]:
    """The pictures, where they are: a page can be made without."""
    try:
        return read_pictures(config)
    except UsageError:
        return ()


STAGE = StageDefinition(
    name="report",
    tables=(),
    sections=("report",),
    run=run,
    inputs=_inputs,
    uses=("ingest", "audit", "train", "predict", "evaluate", "diagnose", "tune", "folds", "clean"),
    is_for_people=True,
    then=lambda config, outcome: f"open {config.output.rstrip('/')}/report/index.html in a browser",
)

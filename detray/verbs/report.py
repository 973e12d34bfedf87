"""The stage ``report``."""

from detray.flow.flow import Flow
from detray.report.flow import report
from detray.verbs.base import Context, Outcome, StageDefinition


def run(context: Context, flow: Flow) -> Outcome:
    return report(flow, context.store, context.config.name, context.config.report.max_pictures)


STAGE = StageDefinition(
    name="report",
    tables=(),
    sections=("report",),
    run=run,
    uses=("ingest", "audit", "train", "predict", "evaluate", "diagnose", "tune", "clean"),
    is_for_people=True,
)

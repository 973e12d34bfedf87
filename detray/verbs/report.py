"""report: one HTML page from whatever is complete."""

from functools import partial

import pyarrow as pa

from detray.cluster.executor import Json
from detray.report import page, pictures
from detray.store import Stage
from detray.verbs.base import Context, Old, StageDefinition, Table

PAGE = "index.html"
_FIGURES_A_TASK = 16

Task = tuple[str, list[pictures.Figure]]


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    """Collect what the page shows, draw its pictures in tasks, and write ``report/index.html``."""
    with context.timed("read tables"):
        content, album = page.collect(context.store, context.config.name, context.config.report.max_pictures)
    figures = album.figures
    starts = range(0, len(figures), _FIGURES_A_TASK)
    tasks = {f"{start:05d}": (f"{start:05d}", figures[start : start + _FIGURES_A_TASK]) for start in starts}
    receipts = context.run_tasks("draw pictures", partial(_draw, stage), tasks, done)
    with context.timed("write page"):
        rows = pa.concat_tables([stage.read_scratch(shard) for shard in tasks] or [pictures.SCRATCH.empty_table()])
        html = page.render(content, pictures.place(figures, rows))
        context.store.write_bytes(html, stage.name, PAGE)
    unread = len(rows) - rows["jpeg"].drop_null().length()
    return Old(
        receipts,
        facts={"bytes": len(html), "pictures": len(rows) - unread, "pictures_not_read": unread},
        summary=[
            Table(
                "Report",
                ("page", "pictures", "MiB"),
                [[context.store.path(stage.name, PAGE), len(rows) - unread, round(len(html) / 2**20, 2)]],
            )
        ],
    )


def _draw(stage: Stage, task: Task) -> Json:
    shard, figures = task
    stage.write_scratch(shard, pictures.draw(figures))
    return stage.write(shard, {})


STAGE = StageDefinition(
    name="report",
    tables=(),
    sections=("report",),
    old=run,
    uses=("ingest", "audit", "train", "predict", "evaluate", "diagnose", "tune", "clean"),
)

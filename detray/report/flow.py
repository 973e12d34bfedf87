"""``detray report``: one HTML page from whatever is complete."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.flow.outcome import Outcome, Table
from detray.flow.step import Keep, NoFacts, Output, Step
from detray.report import page, pictures
from detray.report.sections.common import Content
from detray.store import Store

PAGE = "index.html"
FIGURES_A_TASK = 16


@dataclass(frozen=True)
class Layout:
    """What the page shows, and where its pictures are."""

    content: Content
    figures: Sequence[pictures.Figure]
    drawn: Sequence[Kept]


class PageFacts(msgspec.Struct, frozen=True):
    """Size of the page, and how many of the pictures that it wants could be drawn and could not."""

    bytes: int
    pictures: int
    pictures_not_read: int


def draw(work: None, figures: Sequence[pictures.Figure]) -> Output[NoFacts]:
    """Draw the pictures of some figures."""
    return Output(NoFacts(), kept={"drawn": pictures.draw(figures)})


def write(work: None, layout: Layout) -> Output[PageFacts]:
    """Render the page."""
    rows = pa.concat_tables([pictures.SCHEMA.empty_table(), *(drawn.read() for drawn in layout.drawn)])
    html = page.render(layout.content, pictures.place(layout.figures, rows))
    unread = rows["jpeg"].null_count
    return Output(PageFacts(len(html), rows.num_rows - unread, unread), files={PAGE: html})


DRAW = Step[None, Sequence[pictures.Figure], NoFacts](
    "draw", draw, NoFacts, (Keep("drawn", pictures.SCHEMA),), label="draw pictures"
)
WRITE = Step[None, Layout, PageFacts]("write", write, PageFacts, label="write page")


def report(flow: Flow, store: Store, run: str, max_pictures: int) -> Outcome:
    """Collect what the page shows, draw its pictures in tasks, and write ``index.html``.

    Args:
        flow: where it runs.
        store: the output folder.
        run: the configuration's name.
        max_pictures: pictures at most.
    """
    with flow.timed("read tables"):
        content, album = page.collect(store, run, max_pictures)
    figures = album.figures
    starts = range(0, len(figures), FIGURES_A_TASK)
    drawn = flow.map(DRAW, None, {f"{start:05d}": figures[start : start + FIGURES_A_TASK] for start in starts})
    facts = flow.reduce(WRITE, None, Layout(content, figures, list(drawn.kept("drawn").values()))).facts
    shown = [store.path("report", PAGE), facts.pictures, round(facts.bytes / 2**20, 2)]
    return Outcome(facts=msgspec.to_builtins(facts), summary=[Table("Report", ("page", "pictures", "MiB"), [shown])])

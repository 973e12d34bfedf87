"""``detray report``: one HTML page from whatever is complete, and a page to review what is suspected."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.flow.outcome import Outcome, Table
from detray.flow.step import Keep, NoFacts, Output, Step
from detray.report import page, pictures
from detray.report.reader import Reader
from detray.report.review import items, thumbnails
from detray.report.review import page as review_page
from detray.report.review.thumbnails import Thumbnail
from detray.report.sections.common import Content
from detray.report.settings import ReportSettings
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


@dataclass(frozen=True)
class ReviewPage:
    """What the review page shows, and where its thumbnails are cut from."""

    run: str
    data: str
    review: items.Review
    album: review_page.Album
    places: Sequence[Kept]


class ReviewFacts(msgspec.Struct, frozen=True):
    """Size of the review page, and how much there is to decide."""

    bytes: int
    items: int


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


def thumbnail(work: None, wanted: Sequence[Thumbnail]) -> Output[NoFacts]:
    """Draw the thumbnails of one pack of the review page."""
    places, files = thumbnails.draw(wanted)
    return Output(NoFacts(), kept={"places": places}, files=files)


def write_review(work: None, task: ReviewPage) -> Output[ReviewFacts]:
    """Render the review page."""
    places = pa.concat_tables([thumbnails.PLACES.empty_table(), *(found.read() for found in task.places)])
    html = review_page.render(task.run, task.data, task.review, task.album, places)
    return Output(ReviewFacts(len(html), len(task.review.items)), files={review_page.PAGE: html})


THUMBNAIL = Step[None, Sequence[Thumbnail], NoFacts](
    "thumbnail", thumbnail, NoFacts, (Keep("places", thumbnails.PLACES),), label="draw thumbnails"
)
WRITE_REVIEW = Step[None, ReviewPage, ReviewFacts]("review", write_review, ReviewFacts, label="write review page")


def report(flow: Flow, store: Store, run: str, settings: ReportSettings) -> Outcome:
    """Collect what the pages show, draw their pictures in tasks, and write ``index.html`` and ``review.html``.

    Args:
        flow: where it runs.
        store: the output folder.
        run: the configuration's name.
        settings: how much is shown.
    """
    with flow.timed("read tables"):
        content, album = page.collect(store, run, settings.max_pictures)
        review = items.collect(Reader(store), settings.max_review)
    content["n_review"], content["reviewed"] = len(review.items), review.counts
    figures = album.figures
    starts = range(0, len(figures), FIGURES_A_TASK)
    drawn = flow.map(DRAW, None, {f"{start:05d}": figures[start : start + FIGURES_A_TASK] for start in starts})
    facts = flow.reduce(WRITE, None, Layout(content, figures, list(drawn.kept("drawn").values()))).facts
    shown = [[store.path("report", PAGE), facts.pictures, round(facts.bytes / 2**20, 2)]]
    outcome = Outcome(facts=msgspec.to_builtins(facts))
    if review.items:
        reviewed = _review(flow, store, run, review)
        shown.append([store.path("report", review_page.PAGE), reviewed.items, round(reviewed.bytes / 2**20, 2)])
        outcome.facts["review_items"] = reviewed.items
    outcome.summary.append(Table("Report", ("page", "pictures", "MiB"), shown))
    return outcome


def _review(flow: Flow, store: Store, run: str, review: items.Review) -> ReviewFacts:
    album = review_page.album(review.items)
    drawn = flow.map(THUMBNAIL, None, review_page.packs(album.thumbnails))
    data = (store.manifest("ingest") or {})["fingerprint"]
    task = ReviewPage(run, data, review, album, list(drawn.kept("places").values()))
    return flow.reduce(WRITE_REVIEW, None, task).facts

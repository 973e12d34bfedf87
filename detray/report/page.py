"""The page: the sections' values, put together and rendered as one HTML file that needs nothing else."""

from collections.abc import Mapping

from detray import __version__
from detray.report import rendering
from detray.report.pictures import Album, Drawn
from detray.report.reader import Reader
from detray.report.sections import (
    answer,
    confusion,
    curves,
    dataset,
    diagnosis,
    evaluation,
    findings,
    images,
    origin,
    sheet,
    tuning,
)
from detray.report.sections.common import Content, Sources
from detray.store import Store

MAX_EVALUATIONS = 4
"""Models and splits shown; the tables hold all of them."""


def collect(store: Store, run: str, max_pictures: int) -> tuple[Content, Album]:
    """What the page shows, from the stages that are complete, and the pictures that it wants.

    Args:
        store: the output folder.
        run: the configuration's name.
        max_pictures: pictures at most; what comes first on the page gets its pictures first.
    """
    reader = Reader(store)
    album = Album(max_pictures)
    sources = Sources(reader, album)
    found = evaluation.evaluations(reader)
    evaluated = []
    for number, shown in enumerate(found[:MAX_EVALUATIONS]):
        most = curves.MAX_LATER if number else curves.MAX_CLASSES
        metrics = evaluation.class_metrics(reader, shown)
        evaluated.append(
            {
                "metrics": evaluation.build(reader, shown, metrics),
                "diagnosis": diagnosis.build(sources, shown, metrics),
                "suspects": diagnosis.suspects(sources, shown),
                "curves": curves.build(reader, shown, metrics, most),
                "confusion": confusion.build(reader, shown),
                "images": images.build(sources, shown, metrics),
            }
        )
    content: Content = {
        "run": run,
        "version": __version__,
        "dataset": dataset.build(reader),
        "evaluated": evaluated,
        "evaluations_left_out": max(len(found) - MAX_EVALUATIONS, 0),
        "findings": findings.build(sources),
        "comparisons": evaluation.comparisons(reader),
        "tuning": tuning.build(reader),
        "training": tuning.training(reader),
        "origin": origin.build(reader),
        "pictures_left_out": album.left_out,
        "n_review": 0,
        "reviewed": {},
    }
    first = evaluated[0] if evaluated else {"metrics": None, "diagnosis": None}
    content["answer"] = answer.build(reader, first["metrics"], first["diagnosis"], content["findings"])
    content["sheet"] = sheet.build(reader, content)
    return content, album


def render(content: Content, drawn: Mapping[int, Drawn]) -> bytes:
    """The page as UTF-8 HTML; ``drawn`` holds the album's figures by key."""
    return rendering.page("page.html.j2", "style.css", "page.js", drawn=drawn, **content)

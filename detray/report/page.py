"""The page: the sections' values, put together and rendered as one HTML file that needs nothing else."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from detray import __version__
from detray.report import text
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
    tuning,
)
from detray.report.sections.common import Content, Sources
from detray.store import Store

MAX_EVALUATIONS = 4
"""Models and splits shown; the tables hold all of them."""

_TEMPLATES = Path(__file__).parent / "templates"


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
    for shown in found[:MAX_EVALUATIONS]:
        metrics = evaluation.class_metrics(reader, shown)
        evaluated.append(
            {
                "metrics": evaluation.build(reader, shown, metrics),
                "diagnosis": diagnosis.build(sources, shown, metrics),
                "suspects": diagnosis.suspects(sources, shown),
                "curves": curves.build(reader, shown, metrics),
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
    }
    first = evaluated[0] if evaluated else {"metrics": None, "diagnosis": None}
    content["answer"] = answer.build(reader, first["metrics"], first["diagnosis"], content["findings"])
    return content, album


def render(content: Content, drawn: Mapping[int, Drawn]) -> bytes:
    """The page as UTF-8 HTML; ``drawn`` holds the album's figures by key.

    All text is escaped, and the content security policy lets nothing run or load but the page's own
    style and script, by their hashes, and pictures that are in the page.
    """
    style, script = _asset("style.css"), _asset("sort.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    # the two assets are files of this package, no data
    assets = {"style": Markup(style), "script": Markup(script)}  # noqa: S704
    html = _environment().get_template("page.html.j2").render(content | assets, policy=policy, drawn=drawn)
    return html.encode("utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=text.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= text.FILTERS
    return environment


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _hash(content: str) -> str:
    """A source expression of CSP level 2 that allows exactly this inline content."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"

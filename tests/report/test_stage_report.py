"""The stage: it writes the page, survives being cut off, and runs on whatever is there."""

from pathlib import Path

import pytest

from detray.flow.executor import InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.report import pictures
from detray.report.flow import report
from detray.report.review import thumbnails
from detray.report.settings import ReportSettings
from detray.store import Stage, Store
from detray.verbs.base import Context
from detray.verbs.config import Config
from detray.verbs.runner import run


def _context(store: Store) -> Context:
    return Context(config=Config(name="sample", output=store.root), store=store, executor=InProcess())


def test_the_page_is_written_with_its_manifest(store: Store) -> None:
    (result,) = run(_context(store), ["report"])
    page = Path(store.root, "report", "index.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "data:image/jpeg" in page
    facts = result.manifest["facts"]
    assert facts["pictures"] == page.count("data:image/jpeg")
    assert facts["bytes"] == len(page.encode())
    assert result.manifest["tables"] == {}
    assert not Path(store.root, "report", "_partial").exists()


def test_pictures_that_were_drawn_are_not_drawn_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _flow(store)
    outcome = report(first, store, "sample", ReportSettings())
    assert len(first.receipts) > 2

    def refuse(figures: object) -> None:
        raise AssertionError

    monkeypatch.setattr(pictures, "draw", refuse)
    monkeypatch.setattr(thumbnails, "draw", refuse)
    assert report(_flow(store), store, "sample", ReportSettings()).facts == outcome.facts


def _flow(store: Store) -> Flow:
    stage = Stage(store, "report")
    return Flow(store, FileKeeper(stage, stage.begin("f")), InProcess(threads=1))


def test_on_an_empty_folder(empty: Store) -> None:
    (result,) = run(_context(empty), ["report"])
    assert result.manifest["facts"]["pictures"] == 0
    assert b"Nothing has been audited" in (empty.read_bytes("report", "index.html") or b"")

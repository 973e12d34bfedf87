"""The stage: it writes the page, survives being cut off, and runs on whatever is there."""

import dataclasses
from pathlib import Path

from detray.cluster.executor import SerialExecutor
from detray.store import Stage, Store
from detray.verbs.base import Context
from detray.verbs.config import Config
from detray.verbs.report import STAGE
from detray.verbs.runner import run


def _context(store: Store) -> Context:
    return Context(config=Config(name="sample", output=store.root), store=store, executor=SerialExecutor())


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


def test_pictures_that_were_drawn_are_not_drawn_again(store: Store) -> None:
    context = _context(store)
    stage = Stage(store, "report")
    stage.begin("f")
    first = STAGE.old(context, stage, {})
    assert len(first.receipts) > 1

    class Refuse(SerialExecutor):
        def map(self, function, tasks, *, cpus=1):
            assert not tasks
            return iter(())

    again = STAGE.old(dataclasses.replace(context, executor=Refuse()), stage, stage.begin("f"))
    assert again.facts == first.facts


def test_on_an_empty_folder(empty: Store) -> None:
    (result,) = run(_context(empty), ["report"])
    assert result.manifest["facts"]["pictures"] == 0
    assert b"Nothing has been audited" in (empty.read_bytes("report", "index.html") or b"")

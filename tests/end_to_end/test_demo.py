"""``detray demo``, its trainings cut short: the planted faults are shown before the tuning begins."""

import contextlib
import io
import json
from pathlib import Path

import pytest

from detray import cli
from detray.demo.draw import draw_dataset


@pytest.mark.slow
def test_the_planted_faults_are_shown_first_and_the_faulty_copy_is_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detray.verbs.demo.draw.draw_dataset", lambda root: draw_dataset(root, 0, 40, 40, 40))
    short = ("train.epochs=1", "tune.trials=2", "tune.proof_seeds=2", "tune.scheduler=none", "evaluate.bootstrap=20")
    options = [part for setting in short for part in ("--set", setting)]
    told, shown = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(told):
        assert cli.main(["demo", "--serial", "--output", str(tmp_path / "out"), *options]) == 0
    said = shown.getvalue()
    assert said.index("planted faults found") < said.index("Classes, before and after tuning")
    assert "0 findings of severity error or fatal where nothing was planted" in said
    manifest = json.loads((tmp_path / "out" / "faulty" / "clean" / "manifest.json").read_text())
    assert manifest["facts"]["edits"] >= 3

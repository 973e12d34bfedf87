"""A tuning whose driver is killed goes on at its epochs; a second start of a finished one does nothing."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from outputs import run_stage
from test_command import LEVERS, OWN, RUN, is_running, wait_for
from test_tune_stage import Played, play, sharp

from detray.detectors.settings import TrainSettings
from detray.flow.executor import InProcess
from detray.store import Store
from detray.tune.command.data import Listed
from detray.verbs.base import Context
from detray.verbs.config import Config
from detray.verbs.tune import STAGE

__all__ = ["play"]


@pytest.fixture
def written(store: Store, tmp_path: Path) -> list[str]:
    """A configuration on disk, and the command that tunes by it: three trials of six epochs.

    But for the baseline, they wait in the third epoch for the file ``gate``.
    """
    splits = {}
    listed = Listed(store, {name: (store.shards([name]), None) for name in ("train", "val")}, {3: "red", 7: "blue"})
    for name in ("train", "val"):
        listed.write_split(name, tmp_path / f"{name}.json")
        splits[name] = {"annotations": f"{name}.json", "images": name}
    (tmp_path / "own.json").write_text(json.dumps(OWN | {name: str(tmp_path / name) for name in ("pids", "gate")}))
    command = {"run": [*RUN, "--epochs", "6"], "config": str(tmp_path / "own.json"), "levers": LEVERS}
    values = {
        "output": str(tmp_path / "made"),
        "dataset": {"root": str(tmp_path), "splits": splits},
        "train": {"epochs": 6},
        "tune": {"trainer": "command", "command": command, "focus": ["blue"], "trials": 3, "proof_seeds": 0}
        | {"space": {"focal_gamma": [1.0, 1.5]}, "search": "random", "proof_split": "val"},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    return [sys.executable, "-m", "detray", "tune", "--serial", "--config", str(tmp_path / "config.yaml")]


def test_a_killed_driver_goes_on_and_a_finished_one_does_nothing(written: list[str], tmp_path: Path) -> None:
    trials = tmp_path / "made" / "tune" / "_partial" / "work" / "trials"
    driver = subprocess.Popen(written, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(list(trials.glob("search-0001/epoch-*.json"))) >= 2, 60)
        program = int((tmp_path / "pids").read_text().split()[-1])
        assert is_running(program)
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: not is_running(program))
    assert len(list(trials.glob("search-*/epoch-*.json"))) == 8

    (tmp_path / "gate").touch()
    again = subprocess.run(written, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    starts = {path.stem: begun(path) for path in (tmp_path / "made/tune/logs").iterdir()}
    assert starts == {"search-0000": [1], "search-0001": [1, 3], "search-0002": [1]}
    table = Store(str(tmp_path / "made")).read("trials").to_pylist()
    assert [(row["status"], row["epochs"]) for row in table] == [("completed", 6)] * 3

    pids = (tmp_path / "pids").read_text()
    idle = subprocess.run(written, capture_output=True, text=True, timeout=120)
    assert idle.returncode == 0
    assert "tune: current, nothing to do" in idle.stderr
    assert (tmp_path / "pids").read_text() == pids


def begun(log: Path) -> list[int]:
    """The epochs that a program has begun with, at each of its starts."""
    return [int(number) for number in re.findall(r"from epoch (\d+)", log.read_text())]


def test_on_an_object_store_a_trial_goes_on(
    store: Store, config: Config, play: Callable[..., Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detray.store.Store.is_local", False)

    def killed(settings: TrainSettings, label: int) -> float:
        count.append(label)
        if len(count) == 5:  # in the third epoch of the baseline
            raise KeyboardInterrupt
        return sharp(settings, label)

    count: list[int] = []
    played = play(killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage(STAGE, Context(config, store, InProcess()))
    run_stage(STAGE, Context(config, store, InProcess()))
    assert [first for _, first in played.calls][:3] == [1, 3, 1]  # of the second trial the first
    assert store.read("trials").num_rows == 7

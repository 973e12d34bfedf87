"""Tuning any program: a stand-in for one, which is started, judged, and fails in every way that programs do."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from outputs import run_stage

from detray.errors import DetrayError, UsageError
from detray.flow.executor import InProcess
from detray.settings import convert, read_yaml
from detray.store import Store
from detray.verbs.base import Context, Outcome
from detray.verbs.config import Config
from detray.verbs.tune import STAGE

HERE = Path(__file__).parent
RUN = [sys.executable, str(HERE / "standin.py"), "--config", "{config}", "--output", "{output}", "--detect", "{detect}"]
OWN = {"loss": {"gamma": 2.0}, "seed": 0, "mode": "fine", "log": "{output}/own.log"}
LEVERS = {"focal_gamma": "loss.gamma", "seed": "seed"}

Tune = Callable[..., Outcome]


@pytest.fixture
def tune(store: Store, config: Config, tmp_path: Path) -> Tune:
    """Run the stage with the stand-in, whose configuration is ``own``; the others are settings of the section tune."""

    def run(
        own: Mapping[str, Any] = OWN,
        *,
        name: str = "own.json",
        command: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Outcome:
        write = json.dumps if name.endswith(".json") else yaml.safe_dump
        (tmp_path / name).write_text(write(dict(own)))
        place = {"folder": str(tmp_path), "config": str(tmp_path / name)}
        settings = {"run": RUN, "levers": LEVERS} | place | dict(command or {})
        return run_tuning(store, config, {"trainer": "command", "command": settings} | changes)

    return run


def run_tuning(store: Store, config: Config, changes: Mapping[str, Any]) -> Outcome:
    values = msgspec.to_builtins(config)
    values["tune"] |= {"space": {"focal_gamma": [1.5]}, "trials": 2, "proof_seeds": 0} | dict(changes)
    context = Context(convert(values, Config, "test"), store, InProcess())
    return run_stage(STAGE, context, fingerprint=repr(values))


def test_a_program_is_tuned_and_proven(store: Store, tune: Tune) -> None:
    """Its best epoch is the second, and a gamma of 1.5 is better than its own; judged on pictures of val that neither
    the search nor the program's own val saw."""
    outcome = tune(proof_seeds=3, proof_split=None)
    assert outcome.facts["is_win"], outcome.notes
    assert "judged on a part of val, which the search did not see" in outcome.facts["sentence"]
    trials = store.read("trials").to_pylist()
    assert [row["status"] for row in trials] == ["completed"] * 8
    assert {row["kept_epoch"] for row in trials} == {2}
    assert [json.loads(row["changes"]) for row in trials[:2]] == [{}, {"focal_gamma": 1.5}]
    assert {row["seed"] for row in trials if row["phase"] == "proof"} == {1, 2, 3}
    assert store.read("trial_class_metrics").num_rows == 8 * 3 * 2
    folder = Path(store.root, "tune")
    log = (folder / "logs" / "search-0001.log").read_text()
    told = json.loads(re.fullmatch(r"settings (\{.*\}) from epoch 1", log.splitlines()[0])[1])  # type: ignore[index]
    assert told["loss"] == {"gamma": 1.5}
    assert Path(told["log"]).name == "own.log"
    assert Path(told["log"]).is_relative_to(folder)
    assert len(list((folder / "logs").iterdir())) == 8
    model = folder / "best" / "model"
    assert (model / "weights.bin").read_text() == "epoch 2"
    assert json.loads((model / "own.json").read_text())["loss"]["gamma"] == 1.5
    best = convert(read_yaml(folder / "best" / "config.yaml"), Config, "config.yaml")
    assert (best.detector.kind, best.detector.path) == ("predictions", str(model / "detections.json"))
    searched_on = {row["image_id"] for row in json.loads((model / "detections.json").read_text())}
    assert len(searched_on) == 4


def test_a_configuration_in_yaml(store: Store, tune: Tune) -> None:
    tune(name="own.yaml")
    assert store.read("trials")["status"].to_pylist() == ["completed"] * 2
    model = Path(store.root, "tune/best/model")
    assert read_yaml(model / "own.yaml")["loss"] == {"gamma": 2.0}


FAILURES = {
    "crash": r"the program ended with code 1; it printed last: .*RuntimeError: no such layer",
    "memory": r"the program ran out of memory \(code 1\); it printed last: .*MemoryError: cannot allocate 3 GB",
    "killed": r"the program was killed by SIGKILL, as the kernel does where memory runs out; it printed last: .*",
    "hang": r"no news of the program for 4 s \(tune\.command\.timeout\), so it was stopped; it printed last: .*",
    "diverge": r"Loss/classification_loss is nan at step 2, in the program's event files",
    "nan": r"detections-1\.json: score is no finite number in 1 of 16 detections",
    "strange": r"detections-1\.json: the image_id 4711 is none of the pictures to detect on",
    "silent": r"the program ended without a report: it wrote no detections-N\.json into \{output\}; .* last: .*",
}


def test_a_program_that_fails_is_a_trial_with_a_reason(store: Store, tune: Tune, tmp_path: Path) -> None:
    outcome = tune(
        space={"config.mode": list(FAILURES)}, search="grid", trials=len(FAILURES) + 1, command={"timeout": 4}
    )
    rows = {json.loads(row["changes"]).get("config.mode"): row for row in store.read("trials").to_pylist()}
    assert rows.pop(None)["status"] == "completed"
    assert rows.keys() == FAILURES.keys()
    for mode, row in rows.items():
        assert row["status"] == "failed"
        assert re.fullmatch(FAILURES[mode], row["error"]), row["error"]
    assert {mode: row["epochs"] for mode, row in rows.items()} == dict.fromkeys(FAILURES, 1) | dict.fromkeys(
        ("nan", "strange", "silent"), 0
    )
    assert outcome.facts["best"] == "search-0000"
    assert not is_running(int((tmp_path / "child").read_text())), "the one that hung took its child along"


def test_a_baseline_that_fails_says_so(tune: Tune) -> None:
    with pytest.raises(
        DetrayError, match=r"the baseline.*could not be trained: the program ended with code 1.*no such"
    ):
        tune(own=OWN | {"mode": "crash"})


def test_what_a_program_cannot_be_told_is_refused_by_name(store: Store, tune: Tune, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tune\.space: l2: the trainer cannot set it to 0\.1: tune\.command\.levers"):
        tune(space={"l2": [0.1]})
    with pytest.raises(UsageError, match=r"oversample: the trainer cannot set it"):
        tune(space={"oversample": [2]})
    with pytest.raises(UsageError, match=r"config\.layers: own\.json has no key layers"):
        tune(space={"config.layers": [3]})
    with pytest.raises(UsageError, match=r"own\.json: loss\.gamma is high, which is no value of train\.focal_gamma"):
        tune(own={"loss": {"gamma": "high"}})
    with pytest.raises(UsageError, match=r"\{outpt\} stands for nothing"):
        tune(command={"run": ["train", "{outpt}"]})
    with pytest.raises(UsageError, match=r"lacks \{output\}"):
        tune(own={"loss": {}}, command={"run": ["train", "{config}", "{detect}"]})
    with pytest.raises(UsageError, match=r"lacks \{config\}"):
        tune(command={"run": ["train", "{output}", "{detect}"]})
    with pytest.raises(UsageError, match=r"lacks \{detect\}.*reports models"):
        tune(command={"run": ["train", "{output}", "{config}"]})
    with pytest.raises(UsageError, match=r"config\.x is of the trainer command"):
        tune(space={"config.x": [1]}, trainer="retinanet")
    assert store.manifest("tune") is None


def test_a_lever_without_a_key_is_left_alone_where_the_diagnosis_asks_for_it(store: Store, tune: Tune) -> None:
    from test_tune_stage import _diagnose

    remedy = "tune: {space: {focal_gamma: [2, 1.5], box_loss_weight: [1, 2]}}"
    _diagnose(store, [{"category_id": 7, "category_name": "blue", "ap": 0.1, "d_ap": 0.25, "remedy_config": remedy}])
    outcome = tune(space="auto")
    told = {lever["name"]: lever for lever in outcome.facts["levers"]}
    assert told["focal_gamma"]["values"] == [1.5]
    assert told["box_loss_weight"]["values"] == []
    assert "the trainer cannot set it: tune.command.levers states no key" in told["box_loss_weight"]["because"]


def test_a_program_that_is_not_there_and_one_without_a_configuration(store: Store, tune: Tune) -> None:
    with pytest.raises(DetrayError, match=r"ended with code 127; it printed last: no-such-program: No such file"):
        tune(command={"run": ["no-such-program", *RUN[2:]]})
    failing = "import sys; print(sys.argv, flush=True); 1 / 0"
    told = [sys.executable, "-c", failing, "{output}", "{detect}", "{learning_rate}"]
    with pytest.raises(DetrayError, match=r"'0\.003'\].*ZeroDivisionError"):
        tune(command={"run": told, "config": None, "levers": {}}, space={"learning_rate": [0.1]})


def test_the_pictures_of_an_epoch_as_a_list(store: Store, tune: Tune, tmp_path: Path) -> None:
    """An image that holds a class comes as often as its repeat factor says."""
    copy = [sys.executable, "-c", "import shutil, sys; shutil.copy(*sys.argv[1:3]); sys.exit(5)"]
    target = tmp_path / "copied-{repeat_factor}"
    with pytest.raises(DetrayError, match="ended with code 5"):
        tune(
            command={"run": [*copy, "{samples}", str(target), "{config}", "{output}", "{detect}"]},
            space={"repeat_factor": [0.5]},
        )
    lines = (tmp_path / "copied-None").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 12
    assert all(Path(line).is_file() for line in lines)


def test_a_killed_driver_takes_the_program_along(tmp_path: Path) -> None:
    """And nothing else: a process of another group stays."""
    script = (
        "import sys, time; from pathlib import Path; from detray.tune.command.program import Program\n"
        "with Program([sys.executable, '-c', sys.argv[1]], '.', Path(sys.argv[2])):\n    time.sleep(600)"
    )
    inner = (
        "import os, subprocess, time; child = subprocess.Popen(['sleep', '600'])\n"
        "print(os.getpid(), child.pid, flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    other = subprocess.Popen(["sleep", "600"])
    driver = subprocess.Popen([sys.executable, "-c", script, inner, str(log)])
    try:
        wait_for(lambda: log.exists() and len(log.read_text().split()) == 2)
        pids = [int(text) for text in log.read_text().split()]
        assert all(map(is_running, pids))
        driver.kill()
        driver.wait()
        wait_for(lambda: not any(map(is_running, pids)))
        assert other.poll() is None
    finally:
        for process in (driver, other):
            process.kill()
            process.wait()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_program_with_a_seed_of_its_own_proves_nothing(tune: Tune) -> None:
    """Its runs are the same to the last digit, whatever the seed."""
    outcome = tune(proof_seeds=2, command={"levers": {"focal_gamma": "loss.gamma"}})
    assert not outcome.facts["is_win"]
    assert "proves nothing" in outcome.facts["sentence"]

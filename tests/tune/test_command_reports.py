"""What a program leaves in its output: beside its reports, deleted, or in the way."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import DetrayError
from detray.flow.epochs import epoch_file
from detray.flow.workspace import Workspace
from detray.store import Store
from detray.tune.command.configuration import NoConfiguration
from detray.tune.command.events import event_files
from detray.tune.command.failures import Clock
from detray.tune.command.program import Program
from detray.tune.command.reports import COLUMNS, read_detections
from detray.tune.command.settings import CommandSettings
from detray.tune.command.trainer import CommandTrainer, Kept
from detray.tune.trial import MODEL, Trial, _keep, read_model

TRIAL = Trial("search-0000", "search", TrainSettings(epochs=2), DetectorSettings())
NOTHING = pa.table({name: pa.array([], pa.int64()) for name in COLUMNS})

PROGRAM = """
import pathlib, sys, time
output = pathlib.Path(sys.argv[1])
for epoch in (1, 2):
    (output / ("model-%d.json" % epoch)).write_text("{}")
    (output / ("model-%d.tflite" % epoch)).write_text("epoch %d" % epoch)
    time.sleep(0.5)
    if sys.argv[2] == "rotate":
        (output / ("model-%d.tflite" % epoch)).unlink()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Store(str(tmp_path)), ("tune", "_partial", "work", "trials", TRIAL.trial_id))


def train(workspace: Workspace, mode: str) -> Any:
    """A trial of two epochs, the first of which is the best; its models are not run."""
    settings = CommandSettings(run=(sys.executable, "-c", PROGRAM, "{output}", mode), reports="models")
    listed: Any = SimpleNamespace(images=lambda part: NOTHING)
    runner: Any = SimpleNamespace(detect=lambda *given: NOTHING)
    trainer = CommandTrainer(settings, NoConfiguration(settings.run), listed, TRIAL.settings, runner)
    return trainer.train(TRIAL, workspace, lambda result: -result.epoch).files()


def test_a_file_beside_a_model_is_not_taken_for_it(workspace: Workspace) -> None:
    assert train(workspace, "fine") == {"model-1.tflite": b"epoch 1"}


def test_a_best_epoch_that_is_deleted_is_told(workspace: Workspace) -> None:
    with pytest.raises(DetrayError, match=r"model-1\.tflite, the epoch that is kept, is gone; .* in \{output\}"):
        train(workspace, "rotate")


def test_a_later_report_is_not_taken_for_one_that_is_deleted(workspace: Workspace) -> None:
    for number in (1, 2):
        workspace.write(epoch_file(number), b"{}")
    output = Path(str(workspace.folder), "checkpoint", "output")
    output.mkdir(parents=True)
    (output / "model-2.tflite").touch()
    with pytest.raises(DetrayError, match="of 2 epochs that were reported before a restart 1 are left"):
        train(workspace, "fine")


def test_any_file_may_be_part_of_a_model(workspace: Workspace) -> None:
    files = {"files.json": b"1", "model.json": b"2", "deep/weights.bin": b"3"}
    _keep(Kept(files, None), workspace)
    bench: Any = SimpleNamespace(workspace=Workspace(workspace.store, workspace.place[:-1]))
    assert read_model(bench, TRIAL) == files
    assert workspace.below(MODEL).read("files.json") == b"1"


def test_files_come_and_go_while_a_program_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the parts of a checkpoint do: a folder that is listed is gone when it is looked into, and a file likewise."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "events.out.tfevents.1").touch()
    (tmp_path / "ckpt-1_temp").mkdir()
    (tmp_path / "ckpt-1.part").symlink_to("x" * 300)  # which cannot be looked at
    real = os.scandir

    def scandir(place: Any) -> Any:
        if str(place).endswith("_temp"):
            raise FileNotFoundError(2, "No such file or directory", str(place))
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    assert [path.name for path in event_files(tmp_path)] == ["events.out.tfevents.1"]
    Clock(60, tmp_path / "log", tmp_path).check()


@pytest.mark.parametrize("name", ["detector.io.layout", "augmentation.flip.p"])
def test_a_name_that_nothing_fills_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"\{{{name}\}} stands for nothing"):
        CommandSettings(run=("train", f"{{{name}}}"))


def test_detections_that_would_not_fit_into_memory_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "detections-1.json"
    with place.open("wb") as file:
        file.truncate((2 << 30) + 1)
    with pytest.raises(DetrayError, match=r"^detections-1\.json: larger than 2 GiB"):
        read_detections(place, {1: "red"})


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(DetrayError, match=r"^/nowhere \(tune\.command\.folder\): No such file or directory"):
        Program(["true"], "/nowhere", tmp_path / "log")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before

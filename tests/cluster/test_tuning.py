"""Ray Tune makes the trials that the plain search makes, and survives what befalls them."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
import tiny
from outputs import run_stage

from detray.detectors.settings import TrainSettings
from detray.flow.executor import Executor, InProcess
from detray.flow.kept import InMemory
from detray.flow.workspace import Workspace
from detray.settings import convert
from detray.store import Store
from detray.tune.bench import Bench
from detray.tune.course import Course
from detray.tune.retinanet import RetinaNetTrainer
from detray.tune.search import Search
from detray.tune.settings import TuneSettings
from detray.tune.space import Space
from detray.tune.trial import End, Epoch, Report, Trial, conclude, write_epoch
from detray.verbs.base import Context
from detray.verbs.config import Config
from detray.verbs.tune import STAGE

pytestmark = pytest.mark.ray

EPOCHS = 8
QUALITY = {2.0: 0.1, 1.0: 0.9, 4.0: 0.3, 1.5: 0.5, 3.0: 0.2}
"""AP of a played trial by its focal gamma; 2 is the baseline's."""


def play(bench: Bench, trial: Trial, report: Report) -> End:
    """Stands for `trial.run_trial`: gamma 4 dies once, gamma 1.5 whenever it is tried."""
    folder = Path(bench.workspace.store.root)
    gamma = trial.settings.focal_gamma
    died = folder / f"died-{gamma}"
    if gamma == 1.5 or (gamma == 4.0 and not died.exists()):
        with died.open("a") as stream:
            stream.write("x")
        os._exit(1)
    for epoch in range(1, EPOCHS + 1):
        ap = [0.5, QUALITY[gamma]]
        write_epoch(bench, trial, epoch, Epoch(ap, ap, ap, 0.5, 0.5, 0.1 * epoch))
        report(epoch, ap, 0.1 * epoch)
    return conclude(bench, trial, "completed")


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, ray_executor: Executor) -> Iterator[None]:
    """Workers run `play`: it and the module that calls it travel by value."""
    from ray import cloudpickle

    from detray.cluster import tuning

    monkeypatch.setattr(tuning, "run_trial", play)
    modules = (sys.modules[__name__], tuning)
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)


def make_search(folder: Path, settings: dict[str, Any] | None = None) -> Search:
    config, workspace = Config(), Workspace(Store(str(folder)), ("trials",))
    classes, nothing = {1: "common", 2: "rare"}, InMemory(())
    trainer = RetinaNetTrainer(config.predict, classes, {}, {}, {})
    bench = Bench("played", trainer, classes, (2,), nothing, nothing, workspace)
    gammas = tuple(QUALITY)
    space = Space(
        TrainSettings(epochs=EPOCHS),
        {"focal_gamma": gammas},
        guesses=tuple({"focal_gamma": number} for number in range(1, len(gammas))),
    )
    return Search(bench, space, convert({"scheduler": "asha", "trials": 5} | (settings or {}), TuneSettings, "test"))


def ends(search: Search) -> dict[float, End]:
    return {end.trial.settings.focal_gamma: end for end in search.ends.values()}


@pytest.mark.slow
def test_processes_that_die_and_trials_that_are_weak(tmp_path: Path, played: None) -> None:
    from detray.cluster import tuning

    search = make_search(tmp_path, {"proof_seeds": 1})
    seen: list[int] = []
    course = Course(search)
    tuning.run_trials(course, lambda: seen.append(1), workers=1)
    found = ends(search)
    assert len(found) == 5
    assert len(seen) == 7
    proven = {name: (end.status, end.epochs) for name, end in course.ends.items()}
    assert proven == {f"proof-{number}-seed-1": ("completed", EPOCHS) for number in ("0000", "0001")}
    assert found[2.0].status == found[1.0].status == "completed"  # too few had come as far to stop the second
    assert (tmp_path / "died-4.0").exists()  # and went on
    for gamma in (4.0, 3.0):
        assert (found[gamma].status, found[gamma].epochs) == ("stopped", 2)
        assert found[gamma].last.ap == [0.5, QUALITY[gamma]]
    assert found[1.5].status == "failed"
    assert (tmp_path / "died-1.5").read_text() == "x" * (tuning.MAX_FAILURES + 1)
    assert "its process died 4 times" in found[1.5].error
    assert [trial.settings.focal_gamma for trial in search.finalists()] == [1.0]


@pytest.mark.slow
def test_the_budget_and_the_median(tmp_path: Path, played: None) -> None:
    from detray.cluster import tuning

    (tmp_path / "died-4.0").touch()
    search = make_search(tmp_path, {"scheduler": "median", "max_epochs": 2 * EPOCHS + 2, "proof_seeds": 0})
    tuning.run_trials(Course(search), lambda: None, workers=1)
    found = ends(search)
    assert {gamma: (end.status, end.epochs) for gamma, end in found.items()} == {
        2.0: ("completed", EPOCHS),
        1.0: ("completed", EPOCHS),
        4.0: ("stopped", 2),
    }


@dataclass(eq=False)
class Running:
    """What schedulers see of a trial of Tune's."""

    trial_id: str
    config: dict[str, Trial]
    status: str = "RUNNING"


def test_schedulers_stop_what_is_behind_and_never_the_baseline(tmp_path: Path) -> None:
    """Five trials that have come to the end of their epochs one after another, the baseline the weakest."""
    from detray.cluster import tuning

    def stopped(scheduler: str) -> list[float]:
        search = make_search(tmp_path / scheduler, {"scheduler": scheduler})
        found = tuning._scheduler(Course(search), {})
        found.set_search_properties(tuning.METRIC, "max")
        ended = []
        while (trial := search.next()) is not None:
            gamma = trial.settings.focal_gamma
            running = Running(trial.trial_id, {"trial": trial})
            found.on_trial_add(None, running)
            for epoch in range(1, EPOCHS + 1):
                result = {"epoch": epoch, tuning.METRIC: 0.9 if gamma == 1.5 else QUALITY[gamma]}
                if found.on_trial_result(None, running, result) == "STOP":
                    ended.append(gamma)
                    break
        return ended

    assert stopped("none") == []
    assert stopped("asha") == [4.0, 3.0]
    assert stopped("median") == [3.0]


@pytest.mark.slow
# Keras hands its variables to NumPy without the copy keyword of NumPy 2 when it saves a network
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_same_as_in_one_process(tmp_path: Path, ray_executor: Executor) -> None:
    plain = tune(tmp_path / "plain", InProcess())
    on_ray = tune(tmp_path / "ray", ray_executor)
    assert on_ray["trials"].num_rows == plain["trials"].num_rows == 4
    for table in STAGE.tables:
        timings = {"seconds", "epoch_seconds", "cost_share"}
        columns = [name for name in plain[table].column_names if name not in timings]
        assert on_ray[table].select(columns).equals(plain[table].select(columns)), table


def tune(folder: Path, executor: Executor) -> dict[str, pa.Table]:
    folder.mkdir()
    store = tiny.make_store(folder)
    values: dict[str, Any] = msgspec.to_builtins(tiny.make_config(store))
    values["tune"] |= {"trials": 2, "proof_seeds": 1}
    run_stage(STAGE, Context(convert(values, Config, "test"), store, executor))
    return {table: store.read(table) for table in STAGE.tables}

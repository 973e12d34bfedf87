"""A machine that leaves while it trains: its trial goes on elsewhere, from its checkpoint on the shared output."""

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detray.arrays import Ints
from detray.detectors.settings import TrainSettings
from detray.flow.kept import InMemory
from detray.flow.workspace import Workspace
from detray.settings import convert
from detray.store import Store
from detray.tune.bench import Bench
from detray.tune.course import Course
from detray.tune.prepare import TRUTH
from detray.tune.search import Search
from detray.tune.settings import TuneSettings
from detray.tune.space import Space
from detray.tune.trainer import OnEpoch
from detray.tune.trial import CHECKPOINT, Trial, read_end

pytestmark = [pytest.mark.ray, pytest.mark.slow]

EPOCHS = 4
BOXES = {"image_id": [1, 2], "category_id": [1, 1], "x": [5.0] * 2, "y": [5.0] * 2, "width": [9.0] * 2}
BOXES |= {"height": [9.0] * 2}
LOST = "lost"
"""The resource that only the machine has which will leave."""


@dataclass(frozen=True)
class Epoch:
    epoch: int
    detections: pa.Table
    class_loss: float = 0.5
    box_loss: float = 0.5


@dataclass(frozen=True)
class Model:
    found: pa.Table

    def files(self) -> dict[str, bytes]:
        return {"model": b"weights"}

    def milliseconds(self) -> float | None:
        return None

    def proven(self) -> tuple[pa.Table, Ints]:
        return self.found, np.array(BOXES["image_id"])


@dataclass(frozen=True)
class Trainer:
    """Keeps how far it is in the trial's workspace; on the machine that will leave it stands still after two epochs,
    for which the other one waits.

    Into ``folder`` it writes at each start the machine and the epoch that it begins with.
    """

    folder: Path

    def train(self, trial: Trial, workspace: Workspace, on_epoch: OnEpoch) -> Model:
        import ray

        will_leave = LOST in ray.get_runtime_context().get_node_labels()
        epoch = workspace.below(CHECKPOINT).read_json("state.json", int) or 0
        with (self.folder / f"{trial.trial_id}.starts").open("a") as stream:
            stream.write(f"{'lost' if will_leave else 'kept'} {epoch + 1}\n")
        found = pa.table(BOXES | {"score": [0.9, 0.8], "rank": pa.array([1, 1], pa.int32())})
        while epoch < EPOCHS:
            epoch += 1
            on_epoch(Epoch(epoch, found))
            workspace.below(CHECKPOINT).write_json("state.json", epoch)
            if epoch == 2 and will_leave:
                (self.folder / "waits").touch()
                time.sleep(300)
            elif epoch == 2:
                wait_for(self.folder / "waits")
        return Model(found)


def wait_for(path: Path) -> bool:
    deadline = time.monotonic() + 200
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return path.exists()


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of two machines of one CPU each, both on this one; gives what takes the second away."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    checks = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5}
    small = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = Cluster(
        initialize_head=True, head_node_args=small | {"include_dashboard": False, "_system_config": checks}
    )
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        second = cluster.add_node(**small, labels={LOST: "yes"})
        ray.init(address=cluster.address, log_to_driver=False)
        cluster.wait_for_nodes()
        yield lambda: cluster.remove_node(second, allow_graceful=False)
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        ray.shutdown()
        cluster.shutdown()


def test_the_trials_of_a_lost_node_go_on_elsewhere(tmp_path: Path, two_nodes: Any) -> None:
    from detray.cluster import tuning

    truth = pa.table(BOXES | {"area": [81.0] * 2, "is_crowd": [False] * 2}).select(TRUTH.names).cast(TRUTH)
    kept, workspace = InMemory((truth,)), Workspace(Store(str(tmp_path)), ("trials",))
    bench = Bench("lost", Trainer(tmp_path), {1: "cell"}, (1,), kept, kept, workspace)
    space = Space(TrainSettings(epochs=EPOCHS), {"focal_gamma": (2.0, 1.0, 1.5)})
    values = {"trials": 3, "proof_seeds": 1, "search": "grid", "scheduler": "none"}
    course = Course(Search(bench, space, convert(values, TuneSettings, "test")))
    is_taken: list[bool] = []

    def take_away() -> None:
        is_taken.append(wait_for(tmp_path / "waits"))
        two_nodes()

    thief = threading.Thread(target=take_away)
    thief.start()
    tuning.run_trials(course, lambda: None, workers=2)
    thief.join()
    assert is_taken == [True]
    trials = [*course.search.trials, *course.proofs.values()]
    assert len(trials) == 5
    assert {trial.trial_id: read_end(bench, trial).status for trial in trials} == dict.fromkeys(
        [trial.trial_id for trial in trials], "completed"
    )
    starts = {path.stem: path.read_text().split("\n")[:-1] for path in tmp_path.glob("*.starts")}
    assert set(starts) == {trial.trial_id for trial in trials}
    assert sorted(begun for begun in starts.values() if begun != ["kept 1"]) == [["lost 1", "kept 3"]]

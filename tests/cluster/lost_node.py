"""A tuning on a cluster of two machines, one of which leaves: what `test_lost_node.py` runs in a process of its own, as
the processes of a cluster share what Ray takes from the environment.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import ray
from ray.cluster_utils import Cluster

from detray.arrays import Ints
from detray.cluster import tuning
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


@contextmanager
def two_nodes() -> Iterator[Callable[[], object]]:
    """A cluster of two machines of one CPU each, both on this one; gives what takes the second away."""
    checks = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5}
    small = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    head = small | {"include_dashboard": False, "_system_config": checks}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        second = cluster.add_node(**small, labels={LOST: "yes"})
        ray.init(address=cluster.address, log_to_driver=False)
        cluster.wait_for_nodes()
        yield lambda: cluster.remove_node(second, allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()


def main(folder: Path) -> None:
    """Into ``found.json`` of ``folder``: whether the machine was taken away at work, and each trial's status."""
    truth = pa.table(BOXES | {"area": [81.0] * 2, "is_crowd": [False] * 2}).select(TRUTH.names).cast(TRUTH)
    kept, workspace = InMemory((truth,)), Workspace(Store(str(folder)), ("trials",))
    bench = Bench("lost", Trainer(folder), {1: "cell"}, (1,), kept, kept, workspace)
    space = Space(TrainSettings(epochs=EPOCHS), {"focal_gamma": (2.0, 1.0, 1.5)})
    values = {"trials": 3, "proof_seeds": 1, "search": "grid", "scheduler": "none"}
    course = Course(Search(bench, space, convert(values, TuneSettings, "test")))
    is_taken: list[bool] = []
    with two_nodes() as take_second:

        def take_away() -> None:
            is_taken.append(wait_for(folder / "waits"))
            take_second()

        thief = threading.Thread(target=take_away)
        thief.start()
        tuning.run_trials(course, lambda: None, workers=2)
        thief.join()
    trials = [*course.search.trials, *course.proofs.values()]
    ended = {trial.trial_id: end.status for trial in trials if (end := read_end(bench, trial))}
    (folder / "found.json").write_text(json.dumps({"is_taken": is_taken, "ended": ended}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

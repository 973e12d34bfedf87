"""Steps with actors on a cluster that loses a machine: what `test_stall.py` runs in a process of its own."""

import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from ray.cluster_utils import Cluster

from detray.cluster import stall
from detray.cluster.ray_executor import RayExecutor
from detray.flow.data import MemoryData
from detray.flow.events import Event
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.flow.step import NoFacts, Output, Step
from detray.store import Stage, Store

TASKS = {f"{number:03d}": number for number in range(12)}
stall.PATIENCE = 6.0


@dataclass(frozen=True)
class Actor:
    """Notes in ``folder`` on which machine it is."""

    folder: Path


def begin(folder: Path) -> Actor:
    (folder / "actor").write_text(ray.get_runtime_context().get_node_id())
    return Actor(folder)


def read(folder: Path, number: int) -> dict[str, pa.Table]:
    return {"numbers": pa.table({"number": [number]})}


def find(actor: Actor, number: int, *read_before: dict[str, pa.Table]) -> Output[NoFacts]:
    time.sleep(0.5)
    return Output(NoFacts())


STEPS = {
    "read": Step("read", find, NoFacts, read=read, setup=begin),
    "bare": Step("bare", find, NoFacts, setup=begin),
}
"""One whose input tasks read, which want a CPU beside that of the actor, and one that has none."""


def lose_one(step: Step[Any, Any, NoFacts], folder: Path) -> dict[str, Any]:
    """Run a step on two machines of one CPU each; that on which its actor is not is lost as soon as it is there."""
    folder.mkdir()
    events: list[Event] = []
    checks = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5}
    memory = {"object_store_memory": 100 * 2**20}
    head = memory | {"num_cpus": 0, "include_dashboard": False, "_system_config": checks}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        nodes = {node.node_id: node for node in (cluster.add_node(num_cpus=1, **memory) for _ in range(2))}
        ray.init(address=cluster.address, log_to_driver=False)
        cluster.wait_for_nodes()

        def lose() -> None:
            while not (folder / "actor").exists() or (here := (folder / "actor").read_text()) not in nodes:
                time.sleep(0.1)
            (other,) = nodes.keys() - {here}
            cluster.remove_node(nodes[other], allow_graceful=False)

        thief = threading.Thread(target=lose)
        thief.start()
        stage = Stage(Store(str(folder)), "test")
        keeper = FileKeeper(stage, stage.begin("same"))
        flow = Flow(MemoryData(()), keeper, RayExecutor(), log=events.append)
        found = flow.map(step, folder, TASKS).facts
        thief.join()
    finally:
        ray.shutdown()
        cluster.shutdown()
    told = [event.detail for event in events if event.event in ("host_died", "task_retried")]
    return {"tasks": len(found), "told": told}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "found.json").write_text(json.dumps({name: lose_one(step, place / name) for name, step in STEPS.items()}))

"""A shared cluster without a GPU grows by one when a stage asks for it."""

import subprocess
import sys
import time
from pathlib import Path

import flow_steps as steps
import heads
import pytest

from detray.cluster.ray_executor import RayExecutor
from detray.errors import UsageError
from detray.flow.executor import Job
from detray.flow.keeper import MemoryKeeper
from detray.flow.step import Resources

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DRIVER = """
import sys
import ray
from ray import cloudpickle
from detray.cluster.ray_executor import RayExecutor
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.flow.step import NoFacts, Output, Resources, Step
from detray.store import Stage, Store

cloudpickle.register_pickle_by_value(sys.modules[__name__])

class Progress:
    step = advance = staticmethod(lambda *given: None)
    note = staticmethod(print)

def find(head, number):
    assert ray.get_runtime_context().get_node_id() != head
    return Output(NoFacts())

ray.init(address=sys.argv[1], log_to_driver=False)
head = ray.get_runtime_context().get_node_id()
assert "GPU" not in ray.cluster_resources()
store = Store(sys.argv[2])
flow = Flow(store, FileKeeper(Stage(store, "test")), RayExecutor(wait=90), Progress())
tasks = {str(number): number for number in range(6)}
step = Step("find", find, NoFacts, setup=lambda head: head)
assert list(flow.map(step, head, tasks, resources=Resources(gpus=1))) == list(tasks)
print("done")
"""

UNUSED = (
    *("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"),
    *("head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files", "rsync_exclude", "rsync_filter"),
)
"""What a cluster's file must say where nobody fills in its defaults."""


def _fake(head: heads.Head) -> str:
    """Ray's own pretence of a cloud: a machine is one more raylet here."""
    return f"""
cluster_name: fake
max_workers: 1
upscaling_speed: 1.0
idle_timeout_minutes: 5
provider: {{type: fake_multinode, use_node_id_as_ip: true, disable_node_updaters: true,
  disable_launch_config_check: true, gcs_address: "127.0.0.1:{head.gcs}"}}
head_node_type: head
available_node_types:
  head: {{resources: {{CPU: 2}}, node_config: {{}}, max_workers: 0}}
  gpu: {{resources: {{CPU: 2, GPU: 1, object_store_memory: 100000000}}, node_config: {{}}, min_workers: 0,
    max_workers: 1}}
auth: {{}}
docker: {{}}
file_mounts: {{}}
{chr(10).join(f"{name}: []" for name in UNUSED)}
"""


def test_a_machine_with_a_gpu_is_waited_for(tmp_path: Path) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    with heads.started("--num-cpus=2", "--num-gpus=0", config=_fake) as head:
        done = subprocess.run(
            [sys.executable, driver, f"127.0.0.1:{head.gcs}", tmp_path / "out"],
            env=heads.environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout.splitlines()
    assert "waiting up to 90 s" in said[0]
    assert "done" in said  # Ray itself may say more, such as that a machine left


def test_a_gpu_that_never_comes_is_said(ray_executor: RayExecutor) -> None:
    notes: list[str] = []
    start = time.monotonic()
    job = Job(steps.CALL, steps.Work(1), MemoryKeeper(), {"one": 1})
    with pytest.raises(
        UsageError,
        match=r"has 0 GPUs after 2 s \(cluster.gpu_wait_seconds\); set it to 0",
    ):
        list(RayExecutor(wait=2).run(job, ["one"], Resources(gpus=1), lambda event: notes.append(event.detail)))
    assert time.monotonic() - start < 30
    assert len(notes) == 1

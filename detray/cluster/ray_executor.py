"""The executor on Ray: long passes over the data set are a stream of Ray Data, what is done sooner plain tasks."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util import placement_group, remove_placement_group

from detray.cluster.answers import attempt, first_line, receipt
from detray.cluster.session import SPARE_CPUS
from detray.errors import DetrayError, UsageError
from detray.flow.executor import Job
from detray.flow.receipt import Receipt
from detray.flow.step import Resources

QUEUED = 2000
"""Tasks given to a shared cluster at once: what waits for a CPU is what makes it grow."""

STREAM_TASKS = 64
"""Tasks for each worker from which a step streams on a Ray of our own: the driver and each worker take two seconds to
import Ray Data, a twentieth of what so many tasks take. On a cluster every step streams that passes over the data set:
it shows there in the dashboard, keeps to the memory of the hosts, and makes the cluster grow."""

MAX_RETRIES = 3
"""How often a task whose worker or machine died is run again."""


def _do(job: Job, key: str) -> bytes:
    return attempt(lambda: job(key))


class RayExecutor:
    """Runs tasks on the Ray cluster that this process is connected to (see `session.ray_session`)."""

    def __init__(self, own: bool = False, gpu_wait: float = 0) -> None:
        """``own``: the cluster is this process's alone, and never grows; ``gpu_wait``: seconds that another
        one gets to grow by the first GPU."""
        self._own = own
        self._gpu_wait = 0 if own else gpu_wait

    @property
    def workers(self) -> int:
        return max(1, int(ray.cluster_resources().get("CPU", 1)) - SPARE_CPUS)

    def run(
        self, job: Job, keys: Sequence[str], resources: Resources, note: Callable[[str], None]
    ) -> Iterator[Receipt]:
        if not keys:
            return iter(())
        least = STREAM_TASKS * self.workers if self._own else 1
        if (job.step.streams and len(keys) >= least) or job.step.setup is not None or resources.gpus:
            return self._stream(job, keys, resources, note)
        return self._tasks(job, keys, resources.cpus)

    def _tasks(self, job: Job, keys: Sequence[str], cpus: float) -> Iterator[Receipt]:
        run = ray.remote(_do).options(num_cpus=cpus, max_retries=MAX_RETRIES)
        shared = ray.put(job)
        left = iter(keys)
        # more would not run the sooner on a machine of our own, and take the spare CPU
        at_once = max(1, int(self.workers / cpus)) if self._own else QUEUED
        waiting = [run.remote(shared, key) for key in islice(left, at_once)]
        try:
            while waiting:
                _, _ = ray.wait(waiting, num_returns=1)
                ready, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=0)
                waiting += [run.remote(shared, key) for key in islice(left, len(ready))]
                for answer in _received(ready):
                    yield receipt(answer)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)

    def _stream(
        self, job: Job, keys: Sequence[str], resources: Resources, note: Callable[[str], None]
    ) -> Iterator[Receipt]:
        from detray.cluster.stream import stream  # Ray Data is slow to import

        gpus = resources.gpus
        size = max(1, int(self._await_gpus(gpus, note) / gpus)) if gpus else max(1, int(self.workers / resources.cpus))
        size = min(size, len(keys))
        # what waits for a place is what makes a shared cluster grow
        largest = (len(keys) if gpus and not self._own else size) if job.step.setup is not None or self._own else None
        # an actor holds a CPU for good; the reads that feed it need one more or nothing ever starts
        actor_cpus = 1 if ray.cluster_resources().get("CPU", 0) >= size + SPARE_CPUS else 0
        return stream(job, keys, resources, size=size, largest=largest, actor_cpus=actor_cpus)

    def _await_gpus(self, gpus: float, note: Callable[[str], None]) -> float:
        """The GPUs of the cluster, which is asked to grow where it has fewer than ``gpus``.

        Raises:
            UsageError: there are still fewer when the time is over.
        """
        there = ray.cluster_resources().get("GPU", 0.0)
        if there < gpus and self._gpu_wait:
            note(f"waiting up to {self._gpu_wait:g} s for the cluster to start a machine with a GPU")
            group = placement_group([{"CPU": 1, "GPU": gpus}])  # what waits for a place makes the cluster grow
            try:
                group.wait(self._gpu_wait)
                there = ray.cluster_resources().get("GPU", 0.0)
            finally:
                remove_placement_group(group)
        if there < gpus:
            waited = f" after {self._gpu_wait:g} s (cluster.gpu_wait_seconds)" if self._gpu_wait else ""
            raise UsageError(
                f"cluster.gpus_per_actor is {gpus:g} but the cluster has {there:g} GPUs{waited}; set it to 0 for CPUs"
            )
        return float(there)


def _received(ready: Sequence[Any]) -> list[Any]:
    try:
        answers: list[Any] = ray.get(ready)
    except RayError as error:
        raise _failed(error) from error
    return answers


def _failed(error: RayError) -> DetrayError:
    return DetrayError(f"Ray failed: {type(error).__name__}: {first_line(error)}")

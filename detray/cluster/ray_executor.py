"""The executor on Ray: long passes over the data set are a stream of Ray Data, what is done sooner plain tasks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import ray
from ray.exceptions import RayError
from ray.util import placement_group, remove_placement_group
from ray.util.metrics import Counter
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from detray.cluster.answers import Answer, attempt
from detray.cluster.hosts import Hosts, Watch, died, machines, resources
from detray.cluster.session import SPARE_CPUS
from detray.cluster.stall import Stalled
from detray.errors import DetrayError, UsageError
from detray.flow.events import METRICS, TAGS, Event, Tell
from detray.flow.executor import Job, in_words
from detray.flow.receipt import Receipt
from detray.flow.step import Resources
from detray.store import Json

QUEUED = 2000
"""Tasks given to a shared cluster at once: what waits for a CPU is what makes it grow."""

STREAM_TASKS = 64
"""Tasks for each worker from which a step streams on a Ray of our own: the driver and each worker take two seconds to
import Ray Data, a twentieth of what so many tasks take. On a cluster every step streams that passes over the data set:
it shows there in the dashboard, keeps to the memory of the hosts, and makes the cluster grow."""

MAX_RETRIES = 3
"""How often a task whose worker or machine died is run again, and a round of tasks of which none came through."""


PROBE_SECONDS = 180
"""Until a machine that does not answer is taken for dead."""


def _do(job: Job, key: str) -> bytes:
    return attempt(key, lambda: job(key))


def _ask(function: Callable[[bool], str | None], has_gpu: bool) -> str | None:
    return function(has_gpu)


class RayExecutor:
    """Runs tasks on the Ray cluster that this process is connected to (see `session.ray_session`)."""

    def __init__(self, own: bool = False, wait: float = 0, most: int | None = None) -> None:
        """``own``: the cluster is this process's alone, and never grows; ``wait``: seconds that another
        one gets to grow by a machine that is large enough; ``most``: tasks of one CPU that it gets at once."""
        self._most = most
        self._own = own
        self._wait = 0 if own else wait
        self._left_out: dict[str, str] = {}  # a disk that is full stays so for the next step
        self._counters: dict[str, Counter] = {}
        self._dead = set(died())  # one that dies in a step may be known to Ray in the next

    @property
    def workers(self) -> int:
        found = max(1, int(ray.cluster_resources().get("CPU", 1)) - SPARE_CPUS)
        return found if self._most is None else min(found, self._most)

    def _share(self, each: float) -> int | None:
        """Tasks that hold ``each`` CPUs or GPUs that may run at once; None: no bound."""
        return None if self._most is None else max(1, int(self._most / max(each, 1e-9)))

    def run(self, job: Job, keys: Sequence[str], resources: Resources, tell: Tell) -> Iterator[Receipt]:
        if keys:
            self._await_room(resources, tell)
        hosts = Hosts(tell, left_out=self._left_out)
        watch = self.watch(tell, resources.cpus)
        left, failures = dict.fromkeys(keys), 0
        while left:
            try:
                for encoded in self._round(job, list(left), resources, hosts):
                    answer = msgspec.json.decode(encoded, type=Answer)
                    if (receipt := hosts.judge(answer)) is not None:
                        del left[answer.key]
                        failures = 0
                        yield receipt
                    watch.look(len(left))
            except RayError as error:
                failures += not isinstance(error, Stalled)  # of which there is one a machine that dies
                watch.look(len(left), now=True)
                if failures == MAX_RETRIES:
                    raise DetrayError(f"Ray failed: {in_words(error)}") from error
                tell(Event(event="task_retried", count=len(left), detail=in_words(error)))

    def watch(self, tell: Tell, cpus: float) -> Watch:
        """Tells of machines that die, each once in the life of this; ``cpus``: of a task."""
        return Watch(tell, cpus, self._dead)

    def count(self, metric: str, value: float, tags: Mapping[str, str]) -> None:
        if metric not in self._counters:
            self._counters[metric] = Counter(metric, description=METRICS[metric], tag_keys=TAGS)
        self._counters[metric].inc(value, dict(tags))

    def described(self) -> Json:
        found = machines()
        of = {what: sum(one["Resources"].get(what, 0.0) for one in found) for what in ("CPU", "GPU")}
        names = sorted(one["NodeManagerHostname"] for one in found)
        return {"hosts": names, "cpus": of["CPU"], "gpus": of["GPU"], "left_out": sorted(self._left_out.values())}

    def _round(self, job: Job, keys: Sequence[str], resources: Resources, hosts: Hosts) -> Iterator[bytes]:
        """The encoded answers of some tasks, where they give one."""
        least = STREAM_TASKS * self.workers if self._own else 1
        if (job.step.streams and len(keys) >= least) or job.step.setup is not None or resources.gpus:
            return self._stream(job, keys, resources, hosts)
        return self._tasks(job, keys, resources.cpus, hosts)

    def _tasks(self, job: Job, keys: Sequence[str], cpus: float, hosts: Hosts) -> Iterator[bytes]:
        run = ray.remote(_do).options(num_cpus=cpus, max_retries=MAX_RETRIES, label_selector=hosts.selector)
        shared = ray.put(job)
        left = iter(keys)
        # more would not run the sooner on a machine of our own, and take the spare CPU
        at_once = max(1, int(self.workers / cpus)) if self._own else self._share(cpus) or QUEUED
        waiting = [run.remote(shared, key) for key in islice(left, at_once)]
        try:
            while waiting:
                _, _ = ray.wait(waiting, num_returns=1)
                ready, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=0)
                waiting += [run.remote(shared, key) for key in islice(left, len(ready))]
                yield from ray.get(ready)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)

    def _stream(self, job: Job, keys: Sequence[str], resources: Resources, hosts: Hosts) -> Iterator[bytes]:
        from detray.cluster.stream import stream  # Ray Data is slow to import

        gpus = resources.gpus
        cpus = hosts.total("CPU") - SPARE_CPUS
        size = min(max(1, int(hosts.total("GPU") / gpus if gpus else cpus / resources.cpus)), len(keys))
        share = self._share(resources.cpus)
        if share is not None:
            size = min(size, share)
        # what waits for a place is what makes a shared cluster grow
        largest = (len(keys) if gpus and not self._own else size) if job.step.setup is not None or self._own else None
        if share is not None:
            largest = min(largest or share, share)
        # an actor holds CPUs for good; the tasks that decode for those with GPUs need one more, or nothing ever starts
        held = resources.cpus if job.step.read is None and not gpus else 1
        actor_cpus = held if cpus >= size * held else 1 if cpus >= size else 0
        return stream(job, keys, resources, size=size, largest=largest, actor_cpus=actor_cpus, selector=hosts.selector)

    def _await_room(self, resources: Resources, tell: Tell) -> None:
        """Wait for a machine on which a task fits; the cluster is asked to grow where it has none.

        Raises:
            UsageError: there still is none when the time is over: the task would wait for ever.
        """
        wanted = {"CPU": resources.cpus} | ({"GPU": resources.gpus} if resources.gpus else {})
        if _has_room(wanted):
            return
        name, what = ("gpus_per_actor", "GPU") if resources.gpus else ("cpus_per_task", "CPU")
        if self._wait:
            having = "with a GPU" if resources.gpus else f"with {resources.cpus:g} CPUs"
            said = f"waiting up to {self._wait:g} s for the cluster to start a machine {having}"
            tell(Event(event="note", detail=said))
            group = placement_group([wanted])  # what waits for a place makes the cluster grow
            try:
                group.wait(self._wait)
            finally:
                remove_placement_group(group)
            if _has_room(wanted):
                return
        waited = f" after {self._wait:g} s (cluster.gpu_wait_seconds)" if self._wait else ""
        largest = max((machine["Resources"].get(what, 0) for machine in machines()), default=0)
        mend = "set it to 0 for CPUs" if resources.gpus else "set it to no more than that"
        raise UsageError(
            f"cluster.{name} is {wanted[what]:g} but the largest machine of the cluster has {largest:g} {what}s"
            f"{waited}; {mend}"
        )

    def require(self, resources: Resources) -> None:
        if not self._wait:  # a machine that is waited for would idle until it is needed
            self._await_room(resources, lambda event: None)

    def everywhere(self, function: Callable[[bool], str | None]) -> list[tuple[str, str | None]]:
        ask = ray.remote(_ask)
        asked: dict[Any, tuple[str, str]] = {}
        for machine in machines():
            strategy = NodeAffinitySchedulingStrategy(machine["NodeID"], soft=False)
            has_gpu = machine["Resources"].get("GPU", 0) > 0
            answer = ask.options(num_cpus=0, max_retries=0, scheduling_strategy=strategy).remote(function, has_gpu)
            name = f"{machine['NodeManagerHostname']} ({machine['NodeManagerAddress']})"
            asked[answer] = machine["NodeID"], name
        ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_SECONDS)
        found = [(*asked[answer], _answer(answer, answer in ready)) for answer in asked]
        there = resources()
        return [(host, lack) for node, host, lack in found if lack is None or node in there]  # or it died meanwhile


def _has_room(wanted: Mapping[str, float]) -> bool:
    return any(all(machine["Resources"].get(k, 0) >= n for k, n in wanted.items()) for machine in machines())


def _answer(answer: Any, is_ready: bool) -> str | None:
    if not is_ready:
        ray.cancel(answer, force=True)
        return f"it does not answer within {PROBE_SECONDS} s; see whether Ray can start workers there, or remove it"
    try:
        found: str | None = ray.get(answer)
    except RayError as error:
        reason = str(error).strip().splitlines()[-1][:300]
        return f"detray does not run there ({reason}); install the same environment on all machines"
    return found

"""The executor on Ray: plain tasks where nothing is kept between them, a Ray Data pipeline for actors."""

import json
import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import ray
from ray.exceptions import RayError
from ray.util import placement_group, remove_placement_group

from detray import errors
from detray.cluster.answers import attempt, receipt
from detray.cluster.executor import Json
from detray.cluster.session import SPARE_CPUS
from detray.errors import DetrayError, UsageError
from detray.flow.executor import Job
from detray.flow.receipt import Receipt
from detray.flow.step import Resources

if TYPE_CHECKING:
    from detray.tune.search import Search

Task = TypeVar("Task")
RESULT = pa.schema([pa.field("result", pa.string(), nullable=False)])

QUEUED = 2000
"""Tasks given to a shared cluster at once: what waits for a CPU is what makes it grow."""

MAX_RETRIES = 3
"""How often a task whose worker or machine died is run again."""


def _do(job: Job, key: str) -> bytes:
    return attempt(lambda: job(key))


def _answer(function: Callable[[Any], Json], task: Any) -> str:
    """What ``function`` says of ``task``, as JSON.

    An exception travels as an answer, so that Ray neither tries it again nor prints its traceback
    from every worker; a worker that dies is Ray's to replace.
    """
    try:
        return json.dumps({"value": function(task)})
    except DetrayError as error:
        return json.dumps({"error": type(error).__name__, "message": str(error)})
    except Exception as error:  # whatever it is, the driver must name it
        message = f"a task failed: {type(error).__name__}: {_first_line(error)}"
        return json.dumps({"error": "DetrayError", "message": message, "traceback": traceback.format_exc()})


class _Actor:
    """Calls what ``build`` makes, once an actor, with the task of each row; ``shared`` refers to both."""

    def __init__(self, shared: Any) -> None:
        self._shared = shared
        self._function: Callable[[Any], Json] | None = None
        self._tasks: Sequence[Any] = ()

    def __call__(self, batch: pa.Table) -> pa.Table:
        answers = [_answer(self._call, number) for number in batch["id"].to_pylist()]
        return pa.table({"result": pa.array(answers, pa.string())}, schema=RESULT)

    def _call(self, number: int) -> Json:
        if self._function is None:  # not in __init__: Ray prints pages where that fails
            build, self._tasks = ray.get(self._shared)
            self._function = build()
        return self._function(self._tasks[number])


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
        if job.step.streams or job.step.setup is not None or resources.gpus:
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

    def map(self, function: Callable[[Task], Json], tasks: Sequence[Task], *, cpus: float = 1) -> Iterator[Json]:
        run = ray.remote(_answer).options(num_cpus=cpus, max_retries=MAX_RETRIES)
        shared = ray.put(function)
        left = iter(tasks)
        # more would not run the sooner on a machine of our own, and take the spare CPU
        at_once = max(1, int(self.workers / cpus)) if self._own else QUEUED
        waiting = [run.remote(shared, task) for task in islice(left, at_once)]
        try:
            while waiting:
                _, _ = ray.wait(waiting, num_returns=1)
                ready, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=0)
                waiting += [run.remote(shared, task) for task in islice(left, len(ready))]
                for text in _received(ready):
                    yield _value(text)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)

    def map_actors(
        self,
        build: Callable[[], Callable[[Task], Json]],
        tasks: Sequence[Task],
        *,
        gpus: float = 0,
        note: Callable[[str], None] = lambda text: None,
    ) -> Iterator[Json]:
        if not tasks:
            return
        from ray import data  # slow to import

        _quieten(data)
        size = max(1, int(self._await_gpus(gpus, note) / gpus)) if gpus else self.workers
        size = min(size, len(tasks))
        # actors that wait for a GPU are what makes a shared cluster grow
        largest = len(tasks) if gpus and not self._own else size
        resources = ray.cluster_resources()
        # an actor holds a CPU for good; the reads that feed it need one more or nothing ever starts
        cpus = 1 if resources.get("CPU", 0) >= size + SPARE_CPUS else 0
        options: dict[str, Any] = {"num_gpus": gpus} if gpus else {}
        answers = data.range(len(tasks), override_num_blocks=len(tasks)).map_batches(
            _Actor,
            fn_constructor_args=(ray.put((build, list(tasks))),),
            batch_size=1,
            batch_format="pyarrow",
            compute=data.ActorPoolStrategy(min_size=size, max_size=largest),
            num_cpus=cpus,
            **options,
        )
        try:
            for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
                for text in batch["result"].to_pylist():
                    yield _value(text)
        except RayError as error:
            raise _failed(error) from error

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

    def run_search(self, search: "Search", on_trial: Callable[[], None]) -> None:
        from detray.cluster import tuning  # Tune is slow to import

        tuning.run_search(search, on_trial, workers=self.workers)


def _quieten(data: Any) -> None:
    """Ray Data prints pages of progress of its own; detray has one line."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.enable_auto_log_stats = False
    context.verbose_stats_logs = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _received(ready: Sequence[Any]) -> list[Any]:
    try:
        answers: list[Any] = ray.get(ready)
    except RayError as error:
        raise _failed(error) from error
    return answers


def _failed(error: RayError) -> DetrayError:
    return DetrayError(f"Ray failed: {type(error).__name__}: {_first_line(error)}")


def _value(text: str) -> Json:
    """The value of an answer; an error in it is raised."""
    answer: Json = json.loads(text)
    if "error" in answer:
        raise _rebuild(answer)
    value: Json = answer["value"]
    return value


def _rebuild(answer: Json) -> DetrayError:
    error: DetrayError = getattr(errors, answer["error"], DetrayError)(answer["message"])
    if "traceback" in answer:
        error.add_note(answer["traceback"])
    return error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else ""

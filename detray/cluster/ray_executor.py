"""The executor on Ray: a Ray Data pipeline of one row a task."""

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, TaskPoolStrategy
from ray.exceptions import RayError

from detray import errors
from detray.cluster.executor import Json
from detray.cluster.session import SPARE_CPUS
from detray.errors import DetrayError, UsageError

if TYPE_CHECKING:
    from detray.tune.search import Search

Task = TypeVar("Task")
RESULT = pa.schema([pa.field("result", pa.string(), nullable=False)])


class _Caller:
    """What a worker does with a row: call the function of that task, and send the answer as JSON.

    An exception travels as an answer, so that Ray neither tries it again nor prints its traceback
    from every worker; a worker that dies is Ray's to replace. ``shared`` refers to the
    function and the tasks.
    """

    def __init__(self, shared: Any, build: bool) -> None:
        self._shared = shared
        self._build = build
        self._function: Callable[[Any], Json] | None = None
        self._tasks: Sequence[Any] = ()

    def __call__(self, batch: pa.Table) -> pa.Table:
        answers = []
        for number in batch["id"].to_pylist():
            try:
                if self._function is None:
                    made, self._tasks = ray.get(self._shared)
                    self._function = made() if self._build else made
                answers.append(json.dumps({"value": self._function(self._tasks[number])}))
            except DetrayError as error:
                answers.append(json.dumps({"error": type(error).__name__, "message": str(error)}))
            except Exception as error:  # whatever it is, the driver must name it
                message = f"a task failed: {type(error).__name__}: {_first_line(error)}"
                answers.append(
                    json.dumps({"error": "DetrayError", "message": message, "traceback": traceback.format_exc()})
                )
        return pa.table({"result": pa.array(answers, pa.string())}, schema=RESULT)


class RayExecutor:
    """Runs tasks on the Ray cluster that this process is connected to (see `session.ray_session`)."""

    @cached_property
    def _resources(self) -> dict[str, float]:
        return ray.cluster_resources()

    @property
    def workers(self) -> int:
        return max(1, int(self._resources.get("CPU", 1)) - SPARE_CPUS)

    def map(self, function: Callable[[Task], Json], tasks: Sequence[Task], *, cpus: float = 1) -> Iterator[Json]:
        size = min(max(1, int(self.workers / cpus)), max(len(tasks), 1))
        return self._run(function, tasks, TaskPoolStrategy(size=size), build=False, num_cpus=cpus)

    def map_actors(
        self, build: Callable[[], Callable[[Task], Json]], tasks: Sequence[Task], *, gpus: float = 0
    ) -> Iterator[Json]:
        if gpus:
            there = self._resources.get("GPU", 0)
            if there < gpus:
                raise UsageError(
                    f"cluster.gpus_per_actor is {gpus:g} but the cluster has {there:g} GPUs; set it to 0 for CPUs"
                )
            size = max(1, int(there / gpus))
        else:
            size = self.workers
        size = min(size, len(tasks))
        # an actor holds a CPU for good; the reads that feed it need one more or nothing ever starts
        cpus = 1 if self._resources.get("CPU", 0) >= size + SPARE_CPUS else 0
        options: dict[str, Any] = {"num_gpus": gpus} if gpus else {}
        return self._run(build, tasks, ActorPoolStrategy(size=max(size, 1)), build=True, num_cpus=cpus, **options)

    def run_search(self, search: "Search", on_trial: Callable[[], None]) -> None:
        from detray.cluster import tuning  # Tune is slow to import

        tuning.run_search(search, on_trial, workers=self.workers)

    def _run(
        self, function: Any, tasks: Sequence[Task], compute: Any, *, build: bool, **resources: Any
    ) -> Iterator[Json]:
        if not tasks:
            return
        shared = ray.put((function, list(tasks)))
        rows = ray.data.range(len(tasks), override_num_blocks=len(tasks))
        if build:
            answers = rows.map_batches(
                _Caller,
                fn_constructor_args=(shared, True),
                batch_size=1,
                batch_format="pyarrow",
                compute=compute,
                **resources,
            )
        else:
            answers = rows.map_batches(
                _Caller(shared, False), batch_size=1, batch_format="pyarrow", compute=compute, **resources
            )
        try:
            for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
                for text in batch["result"].to_pylist():
                    answer = json.loads(text)
                    if "error" in answer:
                        raise _rebuild(answer)
                    yield answer["value"]
        except RayError as error:
            raise DetrayError(f"Ray failed: {type(error).__name__}: {_first_line(error)}") from error


def _rebuild(answer: Json) -> DetrayError:
    error: DetrayError = getattr(errors, answer["error"], DetrayError)(answer["message"])
    if "traceback" in answer:
        error.add_note(answer["traceback"])
    return error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else ""

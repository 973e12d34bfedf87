"""A step as a stream of Ray Data: read | run | store, each task a row that flows from one to the next.

Where reading and running hold the same resources Ray Data fuses them into one task; where the one is
for CPUs and the other for GPUs, the next tasks are read while one runs, within Ray Data's bounds of memory.
Tasks store their own outputs and receipts as they end, as the last operator: a `ray.data.Datasink` would
hand all receipts over at the end of the job, without progress, and a run that is cut off would lose them.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import pyarrow as pa
import ray
from ray import data
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from detray.cluster import rows
from detray.cluster.answers import attempt, failure
from detray.cluster.stall import Stall
from detray.flow.executor import Job
from detray.flow.step import Resources

MAX_RETRIES = 3
"""How often a task whose worker or machine died is run again, and an actor started; Ray Data's way is without end."""


class TaskSource(Datasource):
    """The tasks of a step: each is read where there is room, and becomes a row."""

    def __init__(self, job: Any, keys: Sequence[str]) -> None:
        """``job`` refers to the `Job` in Ray's object store."""
        self._job = job
        self._keys = keys

    def get_name(self) -> str:
        return "Tasks"

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=1, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(_Reader(self._job, key, number), unknown) for number, key in enumerate(self._keys)]


class _Reader:
    def __init__(self, job: Any, key: str, number: int) -> None:
        self._job, self._key, self._number = job, key, number

    def __call__(self) -> Iterator[pa.Table]:
        try:
            yield rows.encode(self._number, None, ray.get(self._job).read(self._key))
        except Exception as error:
            yield rows.encode(self._number, failure(self._key, error), {})


class Finish:
    """Runs the tasks of a batch and stores what they give: a plain function of a task, or what an actor keeps."""

    def __init__(self, job: Any, keys: Sequence[str]) -> None:
        self._shared, self._keys = job, keys
        self._job: Job | None = None
        self._loading = Lock()

    def __call__(self, batch: pa.Table) -> pa.Table:
        answers = [self._answer(*rows.decode(batch, at)) for at in range(batch.num_rows)]
        return pa.table({rows.ANSWER: pa.array(answers, pa.large_binary())})

    def _answer(self, number: int, answer: bytes | None, tables: dict[str, pa.Table]) -> bytes:
        if answer is not None:
            return answer
        key = self._keys[number]
        return attempt(key, lambda: self._loaded().finish(key, tables))

    def _loaded(self) -> Job:
        with self._loading:
            if self._job is None:  # not in __init__: Ray prints pages where that fails
                job = ray.get(self._shared)
                _ = job.state  # made once, before threads ask for it
                self._job = job
            return self._job

    def __getstate__(self) -> dict[str, Any]:
        return {"job": self._shared, "keys": self._keys}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # a lock does not pickle


def stream(
    job: Job,
    keys: Sequence[str],
    resources: Resources,
    *,
    size: int,
    largest: int | None,
    actor_cpus: float,
    selector: dict[str, str],
) -> Iterator[bytes]:
    """The encoded answers of the tasks ``keys``, as they are ready.

    Args:
        job: what workers need.
        keys: the tasks.
        resources: of a task while it runs.
        size: tasks that run at once, or actors.
        largest: to how many a pool of actors may grow; None: without bound, the tasks too.
        actor_cpus: CPUs that an actor holds for good.
        selector: labels of the nodes that may be used.

    Raises:
        RayError: a worker or a node died too often, or one died and nothing came any more; of what is left there is no
            answer.
    """
    quieten()
    shared, stall = ray.put(job), Stall()
    has_state = job.step.setup is not None
    bound = None if largest is None else size
    with warnings.catch_warnings():
        # in this way alone Ray Data is told how often a task may be tried
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated", DeprecationWarning)
        if has_state and job.step.read is None:
            # nothing to read: no task, which would want a CPU beside the actors for what a lost machine held
            source = data.from_arrow([rows.encode(number, None, {}) for number in range(len(keys))])
        else:
            source = data.read_datasource(
                TaskSource(shared, keys),
                override_num_blocks=len(keys),
                num_cpus=job.step.read_cpus if job.step.read is not None else resources.cpus,
                concurrency=None if has_state else bound,
                label_selector=selector,
                ray_remote_args={"max_retries": MAX_RETRIES},
            )
        options: dict[str, Any] = {"batch_format": "pyarrow", "zero_copy_batch": True, "label_selector": selector}
        options |= {"num_gpus": resources.gpus} if resources.gpus else {}
        if has_state:
            pool = data.ActorPoolStrategy(
                min_size=size,
                max_size=largest,
                max_tasks_in_flight_per_actor=_in_flight(job, len(keys), size) if largest == size else None,
                max_concurrent_calls_per_actor=job.step.threads,
                enable_true_multi_threading=job.step.threads > 1,
            )
            # fmt: off
            options |= {"fn_constructor_args": (shared, list(keys)), "compute": pool, "num_cpus": actor_cpus,
                        "batch_size": 1, "max_restarts": MAX_RETRIES, "max_task_retries": MAX_RETRIES}
            # fmt: on
            answers = source.map_batches(Finish, **options)
        else:
            # with a batch size Ray Data fuses nothing, and all rows go through its object store
            options |= {"num_cpus": resources.cpus, "batch_size": None, "max_retries": MAX_RETRIES}
            finish = Finish(shared, list(keys)).__call__
            answers = source.map_batches(finish, compute=data.TaskPoolStrategy(size=bound), **options)
    answers.context.custom_execution_callback_classes = [stall.callback()]
    for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
        for answer in batch[rows.ANSWER].to_pylist():
            stall.answer()
            yield answer


def _in_flight(job: Job, tasks: int, size: int) -> int:
    """Tasks that an actor has at once, where a pool does not grow by those that wait: those that it runs, and one that
    is read for it meanwhile. Ray Data's twice as many all go to the actor that stands first, where tasks are few."""
    return min(job.step.threads + (job.step.read is not None), -(-tasks // size))


def quieten() -> None:
    """Ray Data prints pages of progress of its own; detray has one line."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.enable_auto_log_stats = False
    context.verbose_stats_logs = False
    context.execution_no_progress_timeout_s = -1  # half an hour by default: a training takes longer, and is one task
    logging.getLogger("ray.data").setLevel(logging.ERROR)

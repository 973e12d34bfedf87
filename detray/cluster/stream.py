"""A step as a stream of Ray Data: read | run | store, each task a row that flows from one to the next.

Where reading and running hold the same resources Ray Data fuses them into one task; where the one is
for CPUs and the other for GPUs, the next tasks are read while one runs, within Ray Data's bounds of memory.
Tasks store their own outputs and receipts as they end, as the last operator: a `ray.data.Datasink` would
hand all receipts over at the end of the job, without progress, and a run that is cut off would lose them.
"""

import logging
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import pyarrow as pa
import ray
from ray import data
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask
from ray.exceptions import RayError

from detray.cluster import rows
from detray.cluster.answers import attempt, failure, first_line, receipt
from detray.errors import DetrayError
from detray.flow.executor import Job
from detray.flow.receipt import Receipt
from detray.flow.step import Resources


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
            yield rows.encode(self._number, failure(error), {})


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
        return attempt(lambda: self._loaded().finish(self._keys[number], tables))

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
    job: Job, keys: Sequence[str], resources: Resources, *, size: int, largest: int | None, actor_cpus: float
) -> Iterator[Receipt]:
    """The receipts of the tasks ``keys``, as they are ready.

    Args:
        job: what workers need.
        keys: the tasks.
        resources: of a task while it runs.
        size: tasks that run at once, or actors.
        largest: to how many a pool of actors may grow; None: without bound, the tasks too.
        actor_cpus: CPUs that an actor holds for good.
    """
    quieten()
    shared = ray.put(job)
    has_state = job.step.setup is not None
    read_cpus = job.step.read_cpus if job.step.read is not None else resources.cpus
    bound = None if largest is None else size
    source = data.read_datasource(
        TaskSource(shared, keys),
        override_num_blocks=len(keys),
        num_cpus=read_cpus,
        concurrency=None if has_state else bound,
    )
    gpus: dict[str, Any] = {"num_gpus": resources.gpus} if resources.gpus else {}
    options: dict[str, Any] = {"batch_format": "pyarrow", "zero_copy_batch": True} | gpus
    if has_state:
        answers = source.map_batches(
            Finish,
            fn_constructor_args=(shared, list(keys)),
            compute=data.ActorPoolStrategy(
                min_size=size,
                max_size=largest,
                max_concurrent_calls_per_actor=job.step.threads,
                enable_true_multi_threading=job.step.threads > 1,
            ),
            num_cpus=actor_cpus,
            batch_size=1,
            **options,
        )
    else:
        answers = source.map_batches(
            Finish(shared, list(keys)).__call__,
            num_cpus=resources.cpus,
            compute=data.TaskPoolStrategy(size=bound),
            batch_size=None,  # with a number Ray Data fuses nothing, and all rows go through its object store
            **options,
        )
    try:
        for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
            for answer in batch[rows.ANSWER].to_pylist():
                yield receipt(answer)
    except RayError as error:
        raise DetrayError(f"Ray failed: {type(error).__name__}: {first_line(error)}") from error


def quieten() -> None:
    """Ray Data prints pages of progress of its own; detray has one line."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.enable_auto_log_stats = False
    context.verbose_stats_logs = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)

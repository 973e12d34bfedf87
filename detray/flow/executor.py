"""Who runs the tasks of a step: this process, on some threads; on Ray it is `detray.cluster`."""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

from detray import mirror
from detray.flow.events import Event, Tell
from detray.flow.keeper import Keeper
from detray.flow.receipt import Receipt
from detray.flow.step import Resources, Step, Tables
from detray.store import Json


@dataclass(frozen=True)
class Job:
    """All that a worker needs to do the tasks of a step."""

    step: Step[Any, Any, Any]
    work: Any
    keeper: Keeper
    tasks: Mapping[str, Any]
    buckets: int = 1
    mirrored: tuple[mirror.Mirrored, ...] = field(default_factory=mirror.known)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        mirror.bring(self.mirrored)

    @cached_property
    def state(self) -> Any:
        """What ``run`` is given first: the work, or what the step's set-up makes of it, once a worker."""
        return self.work if self.step.setup is None else self.step.setup(self.work)

    def read(self, key: str) -> Tables:
        """The tables of a task; none where the step reads for itself."""
        return {} if self.step.read is None else self.step.read(self.work, self.tasks[key])

    def finish(self, key: str, tables: Tables) -> Receipt:
        """Run a task on the tables that were read for it, and store its output."""
        task = self.tasks[key]
        more = () if self.step.read is None else (tables,)
        return self.keeper.store(self.step, key, self.step.run(self.state, task, *more), self.buckets)

    def __call__(self, key: str) -> Receipt:
        """A whole task."""
        return self.finish(key, self.read(key))


class Executor(Protocol):
    """Runs tasks somewhere. Rows never come back through it: tasks store their own, and answer with a receipt."""

    @property
    def workers(self) -> int:
        """Tasks of one CPU that can run at once: a hint for how finely to cut."""
        ...

    def run(self, job: Job, keys: Sequence[str], resources: Resources, tell: Tell) -> Iterator[Receipt]:
        """The receipts of the tasks ``keys``, as they are ready; an exception of a task is raised as it is.

        ``tell`` is called with what happens to them, and with what the work waits for.
        """
        ...

    def count(self, metric: str, value: float, tags: Mapping[str, str]) -> None:
        """Add to one of the counters `detray.flow.events.METRICS`, where there is somebody who reads them."""
        ...

    def described(self) -> Json:
        """The machines of a cluster, for the manifest; nothing without one."""
        ...

    def require(self, resources: Resources) -> None:
        """Refuse resources that no machine has, and none will start with.

        Raises:
            UsageError: naming the setting.
        """
        ...

    def everywhere(self, function: Callable[[bool], str | None]) -> list[tuple[str, str | None]]:
        """The answers of a function on each machine of a cluster, with the machine's name; without one, none.

        It is told whether the machine has a GPU.
        """
        ...


class InProcess:
    """Everything in this process, without Ray: ``--serial``, small work, and tests."""

    def __init__(self, threads: int | None = None) -> None:
        """``threads``: of a step without set-up, which says itself; None: one a CPU of this process."""
        self._threads = threads or cpus()

    @property
    def workers(self) -> int:
        return self._threads

    def run(self, job: Job, keys: Sequence[str], resources: Resources, tell: Tell) -> Iterator[Receipt]:
        threads = min(self._threads if job.step.setup is None else job.step.threads, len(keys))
        if threads <= 1:
            for key in keys:
                with _telling(key, tell):
                    receipt = job(key)
                yield receipt
            return
        _ = job.state  # made once, before threads ask for it
        left = iter(keys)
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[tuple[str, Future[Receipt]]] = deque(
                (key, pool.submit(job, key)) for key in islice(left, threads)
            )
            try:
                while waiting:
                    key, future = waiting.popleft()
                    with _telling(key, tell):
                        receipt = future.result()
                    waiting.extend((key, pool.submit(job, key)) for key in islice(left, 1))
                    yield receipt
            finally:
                for _, future in waiting:
                    future.cancel()

    def count(self, metric: str, value: float, tags: Mapping[str, str]) -> None:
        """Nobody reads them: there is no endpoint."""

    def described(self) -> Json:
        return {}

    def require(self, resources: Resources) -> None:
        pass

    def everywhere(self, function: Callable[[bool], str | None]) -> list[tuple[str, str | None]]:
        return []


@contextmanager
def _telling(key: str, tell: Tell) -> Iterator[None]:
    """Tell where the task ``key`` fails."""
    try:
        yield
    except Exception as error:
        tell(Event(event="task_failed", shard=key, host=socket.gethostname(), detail=in_words(error)))
        raise


def in_words(error: BaseException) -> str:
    """The class of an exception and the first line of what it says."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

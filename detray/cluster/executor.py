"""What a stage asks of whoever runs its tasks, and the plain answer: this process, one after another."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from detray.flow import executor as flow
from detray.flow.executor import InProcess

if TYPE_CHECKING:
    from detray.tune.search import Search

Task = TypeVar("Task")
Json = dict[str, Any]


class Executor(flow.Executor, Protocol):
    """Runs tasks somewhere. Functions and tasks must pickle; results are small JSON objects.

    Rows never come back through the executor: a task writes its own shard and returns its receipt.
    Results come in any order, as they are ready.
    """

    @property
    def workers(self) -> int:
        """Tasks of one CPU that can run at once: a hint for how finely to cut."""
        ...

    def map(self, function: Callable[[Task], Json], tasks: Sequence[Task], *, cpus: float = 1) -> Iterator[Json]:
        """``function`` of each task; an exception of a task is raised as it is."""
        ...

    def map_actors(
        self,
        build: Callable[[], Callable[[Task], Json]],
        tasks: Sequence[Task],
        *,
        gpus: float = 0,
        note: Callable[[str], None] = lambda text: None,
    ) -> Iterator[Json]:
        """Like `map` with state: each actor calls ``build`` once (a model is loaded there) and keeps the result.

        ``note`` is told what the work waits for.
        """
        ...

    def run_search(self, search: "Search", on_trial: Callable[[], None]) -> None:
        """Run every trial of ``search`` to its end; ``on_trial`` is called after each."""
        ...


class SerialExecutor(InProcess):
    """Everything in this process, in order, without Ray: ``--serial``, and tests of plain functions."""

    def map(self, function: Callable[[Task], Json], tasks: Sequence[Task], *, cpus: float = 1) -> Iterator[Json]:
        return map(function, tasks)

    def map_actors(
        self,
        build: Callable[[], Callable[[Task], Json]],
        tasks: Sequence[Task],
        *,
        gpus: float = 0,
        note: Callable[[str], None] = lambda text: None,
    ) -> Iterator[Json]:
        return map(build(), tasks) if tasks else iter(())

    def run_search(self, search: "Search", on_trial: Callable[[], None]) -> None:
        from detray.tune import serial

        serial.run_search(search, on_trial)

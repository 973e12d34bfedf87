"""A step, declared once: what it is called, what it does with a task, and what it leaves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
import pyarrow as pa

Work = TypeVar("Work")
"""What all tasks of a step share: settings, and the data they read."""
Task = TypeVar("Task")
Facts = TypeVar("Facts", bound=msgspec.Struct)

Tables = Mapping[str, pa.Table]


class NoFacts(msgspec.Struct, frozen=True):
    """A step has nothing to tell beside its tables."""


@dataclass(frozen=True)
class Keep:
    """A table that a step keeps for later steps of its flow.

    Args:
        name: how later steps ask for it.
        schema: of its rows; then nothing is stored where a task has none. None: as the rows come.
        by: an integer column. Rows with equal values go to the same bucket of an exchange.
        batch_rows: so many rows can be read without the rest.
    """

    name: str
    schema: pa.Schema | None = None
    by: str | None = None
    batch_rows: int | None = None


@dataclass(frozen=True)
class Output(Generic[Facts]):
    """What a task gives back; the runner stores it, and then its receipt.

    Args:
        facts: small, for the flow and the manifest; the only part that reaches the driver.
        tables: rows of the stage's result tables, by table.
        kept: tables for later steps, by the name of their `Keep`; of a list each table is a batch that
            can be read alone.
        files: of the stage, by path below its folder: content, whole or in pieces.
    """

    facts: Facts
    tables: Tables = field(default_factory=dict)
    kept: Mapping[str, pa.Table | Sequence[pa.Table]] = field(default_factory=dict)
    files: Mapping[str, bytes | Iterable[bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Resources:
    """What a task holds while it runs: CPUs, and GPUs."""

    cpus: float = 1
    gpus: float = 0


@dataclass(frozen=True)
class Step(Generic[Work, Task, Facts]):
    """One kind of task.

    A task is read, run and stored: ``read(work, task)`` gives tables, ``run(work, task, tables)`` the
    output. On Ray the two are operators of their own, so that one task is read while another runs.
    Without ``read``, ``run(work, task)`` does both.

    Args:
        name: of its receipts and kept tables; unique within a flow.
        run: the step itself, a plain function.
        facts: the type of its facts.
        keeps: the tables that it keeps.
        read: makes the tables that ``run`` takes.
        setup: ``setup(work)`` is made once in each worker, a loaded model for instance, and given to
            ``run`` in the place of ``work``.
        threads: tasks that a worker with a set-up does at once, so that one is read while another runs.
        label: what progress and timing say; by default the name.
        read_cpus: CPUs that reading holds where it is an operator of its own.
        numbers_parts: each task's key is a number, and that of its parts; every table is one part.
        streams: on Ray, many tasks run as a stream of Ray Data. Steps that pass over the data set do; the small
            ones that bring partial results together are plain tasks, which start without delay.
    """

    name: str
    run: Callable[..., Output[Facts]]
    facts: type[Facts]
    keeps: tuple[Keep, ...] = ()
    read: Callable[[Work, Task], Tables] | None = None
    setup: Callable[[Work], Any] | None = None
    threads: int = 1
    label: str = ""
    read_cpus: float = 1
    numbers_parts: bool = False
    streams: bool = False

    @property
    def title(self) -> str:
        return self.label or self.name

    def keep(self, name: str) -> Keep:
        """The declaration of a kept table."""
        return next(keep for keep in self.keeps if keep.name == name)

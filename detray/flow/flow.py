"""A flow while it runs: steps are mapped over tasks, exchanged by key and reduced, and results are handles.

A capability's flow is a plain function that is given a `Flow`. It calls `Flow.map`, `Flow.exchange` and
`Flow.reduce` with its steps, and decides by their facts what comes next. What a flow is given decides where
it runs: the keeper (files, or memory) and the executor (this process, or Ray).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Generic, TypeVar

import msgspec

from detray.flow.data import Data
from detray.flow.events import SAID, TAGS, Event, Tell
from detray.flow.exchange import Bucket
from detray.flow.executor import Executor, Job
from detray.flow.keeper import Keeper
from detray.flow.kept import Kept
from detray.flow.outcome import Progress, Silent
from detray.flow.receipt import Receipt, shard_name
from detray.flow.step import Resources, Step
from detray.flow.workspace import Workspace
from detray.store import Part, Stored

Work = TypeVar("Work")
Task = TypeVar("Task")
Facts = TypeVar("Facts", bound=msgspec.Struct)


@dataclass(frozen=True)
class Result(Generic[Facts]):
    """What a task came to: its key, its facts, and handles on the tables that it kept (``result["name"]``)."""

    key: str
    facts: Facts
    _step: Step[Any, Any, Facts]
    _receipt: Receipt
    _keeper: Keeper

    @property
    def shard(self) -> str:
        """What its files are called."""
        return self._receipt.shard

    def __getitem__(self, name: str) -> Kept:
        return self._keeper.kept(self._step, self._receipt, name)


class Results(Mapping[str, Result[Facts]]):
    """The results of a step by the keys of its tasks, in the order of these."""

    def __init__(self, results: Mapping[str, Result[Facts]]) -> None:
        self._results = dict(sorted(results.items()))

    def __getitem__(self, key: str) -> Result[Facts]:
        return self._results[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    @property
    def facts(self) -> list[Facts]:
        """Of all tasks, in the order of their keys."""
        return [result.facts for result in self.values()]

    def kept(self, name: str) -> dict[str, Kept]:
        """The handles of a kept table, by key."""
        return {key: result[name] for key, result in self.items()}


@dataclass
class Flow:
    """Runs steps.

    Attributes:
        data: what earlier stages wrote.
        keeper: where outputs go.
        executor: who runs the tasks.
        progress: who is told.
        stage: whose flow it is.
        log: given each event.
        seconds: wall time by step.
        receipts: of all tasks, whose tables are the stage's.
    """

    data: Data
    keeper: Keeper
    executor: Executor
    progress: Progress = field(default_factory=Silent)
    cpus: float = 1
    stage: str = ""
    log: Tell = lambda event: None
    seconds: dict[str, float] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    _done: dict[str, Receipt] | None = None

    @property
    def workers(self) -> int:
        """Tasks of one CPU that can run at once: a hint for how finely to cut."""
        return self.executor.workers

    def map(
        self,
        step: Step[Work, Task, Facts],
        work: Work,
        tasks: Mapping[str, Task],
        *,
        resources: Resources | None = None,
        buckets: int = 1,
    ) -> Results[Facts]:
        """Run a step on each task, and return the results by the tasks' keys.

        Tasks that were whole before a run was cut off are not run again: a key must say what its task is.

        Args:
            step: the step.
            work: what all tasks share; like the tasks it crosses processes.
            tasks: by key. Keys order results and the parts of tables.
            resources: what each task holds; by default the CPUs that the flow was given.
            buckets: into how many buckets the tables are divided that an exchange will read.
        """
        if not tasks:
            return Results({})
        if self._done is None:
            self._done = self.keeper.receipts(self.note)
        names = {key: shard_name(step.name, key) for key in tasks}
        found = {key: receipt for key, name in names.items() if (receipt := self._before(step, key, name))}
        left = [key for key in tasks if key not in found]
        self.progress.step(step.title, len(tasks))
        self.progress.advance(len(found))
        self._log(step.name, Event(event="step_begun", count=len(left)))
        start = perf_counter()
        with self.timed(step.title):
            job = Job(step, work, self.keeper, tasks, buckets)
            tell = partial(self.happened, step.name)
            for receipt in self.executor.run(job, left, resources or Resources(self.cpus), tell):
                found[receipt.key] = receipt
                self.keeper.finished(receipt)
                self.progress.advance()
                self._finished(receipt, getattr(tasks[receipt.key], "n_images", 0))
        self._log(step.name, Event(event="step_complete", count=round(perf_counter() - start, 3)))
        self.receipts.update({names[key]: receipt for key, receipt in found.items()})
        return Results(
            {
                key: Result(key, receipt.facts_as(step.facts), step, receipt, self.keeper)
                for key, receipt in found.items()
            }
        )

    def _before(self, step: Step[Any, Any, Any], key: str, name: str) -> Receipt | None:
        """The receipt of a task that was whole before this run, if it is of this task."""
        receipt = (self._done or {}).get(name)
        if receipt is None or (receipt.step, receipt.key) != (step.name, key):
            return None
        try:
            receipt.facts_as(step.facts)
        except msgspec.DecodeError:
            self.note(f"the receipt of {name} is of another shape; it is done again")
            return None
        return receipt

    def exchange(
        self,
        step: Step[Work, Bucket, Facts],
        work: Work,
        parts: Mapping[str, Sequence[tuple[str, Kept]]],
        buckets: int,
    ) -> Results[Facts]:
        """Run a step once for each bucket, on what tasks before kept for it.

        Args:
            step: its task is a `Bucket`.
            work: as in `map`.
            parts: by name, the tables that were kept: a name of the task each is of, and its handle.
            buckets: as they were divided.
        """
        return self.map(step, work, {f"{number:03d}": Bucket(number, parts) for number in range(buckets)})

    def reduce(
        self,
        step: Step[Work, Task, Facts],
        work: Work,
        task: Task,
        key: str = "",
        *,
        resources: Resources | None = None,
    ) -> Result[Facts]:
        """Run a step as one task."""
        return self.map(step, work, {key: task}, resources=resources)[key]

    def forget(self, results: Iterable[Result[Any]]) -> None:
        """Have the next run do some tasks again, though they were whole, if this one fails."""
        for result in results:
            self.keeper.forget(result.shard)

    def workspace(self, name: str) -> Workspace:
        """A place where tasks that run long keep how far they are; give it to them."""
        return self.keeper.workspace(name)

    def parts(self) -> tuple[dict[str, list[Part]], dict[str, Stored]]:
        """The parts of each table in the order of the tasks that wrote them, and the stage's further files."""
        found: dict[str, list[Part]] = {}
        files: dict[str, Stored] = {}
        for _, receipt in sorted(self.receipts.items()):
            for table, parts in receipt.tables.items():
                found.setdefault(table, []).extend(parts)
            files.update(receipt.files)
        return found, files

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the wall time of the block to ``seconds[step]``."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + perf_counter() - start

    def note(self, text: str) -> None:
        """A line for the person who waits."""
        self.happened("", Event(event="note", detail=text))

    def happened(self, step: str, event: Event) -> None:
        """Tell, log and count what happened to the tasks of a step."""
        if event.event in SAID:
            self.progress.note(event.detail)
        if event.event == "task_retried":
            self._count("detray_retries", step, event.count or 1)
        self._log(step, event)

    def _finished(self, receipt: Receipt, images: int) -> None:
        """Log and count what a task that is whole has done: the one place where tasks are counted."""
        step, left_out = receipt.step, receipt.rows("quarantine")
        self._count("detray_rows", step, receipt.rows())
        self._count("detray_findings", step, receipt.rows("findings"))
        self._count("detray_images", step, images)
        self._count("detray_quarantined", step, left_out)
        for one in receipt.aside:
            event = Event(
                event="quarantined",
                shard=receipt.key,
                split=one.split,
                image_id=one.image_id,
                file=one.source_file,
                row=one.row,
                detail=f"{one.reason}: {one.detail}" if one.detail else one.reason,
            )
            self._log(step, event)
        if left_out > len(receipt.aside):
            self._log(step, Event(event="quarantined", shard=receipt.key, count=left_out))

    def _count(self, metric: str, step: str, value: float) -> None:
        if value:
            self.executor.count(metric, value, dict(zip(TAGS, (self.stage, step), strict=True)))

    def _log(self, step: str, event: Event) -> None:
        self.log(msgspec.structs.replace(event, stage=self.stage, step=step))

"""A small flow that the tests run everywhere: numbers by shard, exchanged by remainder, and summed."""

import errno
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from detray import schema
from detray.errors import UsageError
from detray.flow.exchange import Bucket
from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.flow.outcome import Outcome
from detray.flow.step import Keep, NoFacts, Output, Resources, Step

NUMBERS = pa.schema([("number", pa.int64())])


@dataclass(frozen=True)
class Work:
    modulus: int
    marker: Path | None = None
    """Where a task notes that it has killed its worker."""


class Sum(msgspec.Struct, frozen=True):
    total: int
    by_remainder: dict[int, int] = {}


def read(work: Work, count: int) -> dict[str, pa.Table]:
    return {"numbers": pa.table({"number": np.arange(count)}, schema=NUMBERS)}


def square(work: Work, count: int, tables: dict[str, pa.Table]) -> Output[Sum]:
    if work.marker is not None and count == 3 and not work.marker.exists():
        work.marker.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    if count == 13:
        raise UsageError("thirteen numbers are one too many; leave one out")
    numbers = tables["numbers"]["number"].to_numpy()
    rows = [{"stage": "test", "row": int(n), "reason": f"count {count}", "detail": str(n * n)} for n in numbers]
    return Output(
        Sum(int((numbers**2).sum())),
        {"quarantine": schema.from_rows("quarantine", rows, run="test")},
        {"squares": pa.table({"number": numbers**2}, schema=NUMBERS)},
    )


def add(work: Work, bucket: Bucket) -> Output[Sum]:
    sums: dict[int, int] = {}
    for _, rows in bucket.of("squares"):
        for number in rows["number"].to_pylist():
            sums[number % work.modulus] = sums.get(number % work.modulus, 0) + number
    return Output(Sum(sum(sums.values()), sums), kept={"sums": pa.table({"number": list(sums.values())}, NUMBERS)})


def total(work: Work, sums: list[Kept]) -> Output[NoFacts]:
    number = sum(sum(part.read()["number"].to_pylist()) for part in sums)
    return Output(NoFacts(), files={"totals/total.txt": [str(number).encode(), b"\n"]})


def full(work: Work, number: int) -> Output[NoFacts]:
    """The disk is full until so many have tried; each leaves a letter."""
    assert work.marker is not None
    with work.marker.open("a") as file:
        file.write("x")
    if len(work.marker.read_text()) <= number:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return Output(NoFacts())


class Where(msgspec.Struct, frozen=True):
    node: str


def avoid(node: str, number: int) -> Output[Where]:
    """The disk of ``node`` is full."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    if here == node:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    time.sleep(0.2)  # that the other node too is given some
    return Output(Where(here))


@dataclass
class Counting:
    """What a worker keeps between tasks."""

    work: Work
    calls: int = 0


class Calls(msgspec.Struct, frozen=True):
    calls: int
    pid: int


def call(state: Counting, count: int) -> Output[Calls]:
    state.calls += 1
    return Output(Calls(state.calls, os.getpid()))


@dataclass
class Crowd:
    """The tasks that are in a worker at this moment."""

    work: Work
    patience: float = 0.2  # s that a task waits for a second one
    inside: list[int] = field(default_factory=list)
    most: int = 0


def patient(work: Work) -> Crowd:
    """Where tasks do meet: a busy machine may hand them out seconds apart."""
    return Crowd(work, patience=10)


class Together(msgspec.Struct, frozen=True):
    tasks: int


def meet(state: Crowd, number: int) -> Output[Together]:
    state.inside.append(number)
    ends = time.monotonic() + state.patience
    while state.most < 2 and time.monotonic() < ends:
        state.most = max(state.most, len(state.inside))
        time.sleep(0.01)
    state.inside.remove(number)
    return Output(Together(state.most))


def await_all(state: Counting, number: int) -> Output[Calls]:
    """Wait until ``number`` tasks are at work, wherever; how many are in the end."""
    marker, ends = state.work.marker, time.monotonic() + 60
    assert marker is not None
    with marker.open("a") as file:
        file.write("x")
    while len(marker.read_text()) < number and time.monotonic() < ends:
        time.sleep(0.05)
    return Output(Calls(len(marker.read_text()), os.getpid()))


SQUARE = Step(
    "square", square, Sum, (Keep("squares", NUMBERS, by="number"),), read=read, label="square numbers", streams=True
)
ADD = Step("add", add, Sum, (Keep("sums", NUMBERS),))
TOTAL = Step("total", total, NoFacts)
FULL = Step("full", full, NoFacts)
AVOID = Step("avoid", avoid, Where, streams=True)
CALL = Step("call", call, Calls, setup=Counting)
AWAIT_ALL = Step("await", await_all, Calls, setup=Counting, threads=2)

MEET = [
    Step(f"meet-{threads}", meet, Together, setup=crowd, threads=threads)
    for threads, crowd in ((1, Crowd), (2, patient))
]


def squares(flow: Flow, work: Work, counts: list[int], buckets: int) -> Outcome:
    """Sums of squares of 0 to count - 1, by remainder."""
    tasks = {f"{place:03d}": count for place, count in enumerate(counts)}
    squared = flow.map(SQUARE, work, tasks, buckets=buckets)
    added = flow.exchange(ADD, work, {"squares": list(squared.kept("squares").items())}, buckets)
    flow.reduce(TOTAL, work, list(added.kept("sums").values()))
    return Outcome(counts={"in": sum(counts), "kept": sum(facts.total for facts in added.facts)})


def called(flow: Flow, counts: list[int], gpus: float = 0) -> list[Calls]:
    tasks = {f"{place:03d}": count for place, count in enumerate(counts)}
    return flow.map(CALL, Work(2), tasks, resources=Resources(gpus=gpus)).facts


def most_together(flow: Flow) -> list[int]:
    """How many tasks a worker had at once at most, in each step of `MEET`."""
    tasks = {f"{number:03d}": number for number in range(8)}
    return [max(facts.tasks for facts in flow.map(step, Work(2), tasks).facts) for step in MEET]

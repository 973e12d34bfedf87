"""Machines of a cluster that fail one task after another are left out, and the tasks tried elsewhere."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import msgspec
import ray

from detray.cluster.answers import Answer
from detray.errors import DetrayError, HostError
from detray.flow.events import Event, Tell
from detray.flow.receipt import Receipt

IN_A_ROW = 3
"""Tasks in a row that a machine may fail until it gets no more, and times that one task is tried."""


def machines() -> list[dict[str, Any]]:
    """Those that tasks may run on, as `ray.nodes` describes them."""
    return [machine for machine in ray.nodes() if machine["Alive"] and machine["Resources"].get("CPU", 0)]


def resources() -> dict[str, dict[str, float]]:
    """What each of these has, by Ray's id."""
    return {machine["NodeID"]: machine["Resources"] for machine in machines()}


LOOK = 2.0
"""Seconds between two looks at who is still there."""


def died() -> dict[str, tuple[str, float]]:
    """Machines that were lost, by Ray's id: their names, and the CPUs that they had."""
    return {
        machine["NodeID"]: (machine["NodeManagerHostname"], machine["Resources"].get("CPU", 0.0))
        for machine in ray.nodes()
        if not machine["Alive"]
    }


@dataclass
class Watch:
    """Says in a sentence which machine has died since this was made, as Ray tells it by pages or not at all.

    ``cpus``: of a task, so that one knows how many ran there at most. ``known``: machines of whose death one need not
    speak, to which those are added of which this speaks; None: those that are dead now.
    """

    tell: Tell
    cpus: float
    known: set[str] | None = None
    machines: Callable[[], dict[str, tuple[str, float]]] = died
    capacity: Callable[[], dict[str, dict[str, float]]] = resources
    _had: dict[str, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _looked: float = 0.0

    def __post_init__(self) -> None:
        self._told = set(self.machines()) if self.known is None else self.known
        self._remember()

    def _remember(self) -> None:
        self._had |= {node: found.get("CPU", 0.0) for node, found in self.capacity().items()}

    def look(self, left: int, *, now: bool = False) -> None:
        """Tell of machines that have died; ``left``: tasks that are not done."""
        if not now and monotonic() < self._looked + LOOK:
            return
        self._looked = monotonic()
        for node, (host, cpus) in self.machines().items():
            if node not in self._told:
                self._told.add(node)
                tasks = min(left, int((self._had.get(node) or cpus) / max(self.cpus, 0.01)))
                again = f"at most {tasks} tasks run again" if tasks > 1 else "at most one task runs again"
                self.tell(Event(event="host_died", host=host, count=tasks, detail=f"{host} died, {again}"))
        self._remember()


@dataclass
class Hosts:
    """Which machines a step may use, by the answers of its tasks; ``tell`` is told of tasks that fail, and of
    machines that are left out."""

    tell: Tell
    nodes: Callable[[], dict[str, dict[str, float]]] = resources
    in_a_row: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)

    def judge(self, answer: Answer) -> Receipt | None:
        """The receipt of a task; None if it is to be tried again.

        Raises:
            DetrayError: the task's own; a `HostError` only if no machine is left, or the task fails on every one.
        """
        if answer.failure is None:
            self.in_a_row[answer.node] = 0
            return answer.receipt
        error = answer.failure.error
        failed = Event(event="task_failed", shard=answer.key, host=answer.host, detail=answer.failure.message)
        try:
            self._weigh(answer, error)
        except DetrayError:
            self.tell(failed)
            raise
        self.tell(msgspec.structs.replace(failed, event="task_retried"))
        return None

    def _weigh(self, answer: Answer, error: DetrayError) -> None:
        """Raise what ends the step."""
        if not isinstance(error, HostError):
            raise error
        self.in_a_row[answer.node] += 1
        if answer.node not in self.left_out and self.in_a_row[answer.node] >= IN_A_ROW:
            if not self.nodes().keys() - self.left_out.keys() - {answer.node}:
                names = ", ".join(dict.fromkeys([*self.left_out.values(), answer.host]))
                raise _told(
                    error, f"{error} (on {answer.host}; {IN_A_ROW} tasks in a row failed on each host: {names})"
                )
            self.left_out[answer.node] = answer.host  # never the last one: what runs next would wait for ever
            said = f"{answer.host} is left out, {IN_A_ROW} tasks in a row failed there: {error}"
            self.tell(Event(event="host_left_out", host=answer.host, detail=said))
        if answer.node not in self.left_out:
            self.tries[answer.key] += 1
            if self.tries[answer.key] >= IN_A_ROW:
                raise _told(error, f"{error} (tried {IN_A_ROW} times, the last time on {answer.host})")

    @property
    def selector(self) -> dict[str, str]:
        """Ray's labels of the machines that may be used."""
        return {"ray.io/node-id": f"!in({','.join(sorted(self.left_out))})"} if self.left_out else {}

    def total(self, resource: str) -> float:
        """How much of a resource these have."""
        return sum(found.get(resource, 0.0) for node, found in self.nodes().items() if node not in self.left_out)


def _told(error: HostError, message: str) -> HostError:
    found = HostError(message)
    for note in getattr(error, "__notes__", ()):
        found.add_note(note)
    return found

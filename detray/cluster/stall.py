"""A stream of Ray Data that stands still since a machine died.

Ray starts the actors of a lost machine elsewhere. Where these find no place, or take that of the tasks that feed them,
what is left waits for ever, as Ray Data gives up none of its actors.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic

from ray.exceptions import RayError

from detray.cluster.hosts import LOOK, died

PATIENCE = 60.0
"""Seconds without an answer, at least, after which a stream that has lost a machine stands still."""

GAPS = 3.0
"""How many times the longest time between two answers until then these seconds are at least."""


class Stalled(RayError):
    """Nothing comes any more."""


@dataclass
class Stall:
    """Tells whether a stream stands still, from when this was made."""

    lost: Callable[[], Iterable[str]] = died
    clock: Callable[[], float] = monotonic
    _before: frozenset[str] = field(init=False)
    _answered: float = field(init=False)
    _looked: float = field(init=False)
    _lost: float | None = field(default=None, init=False)
    _longest: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._before = frozenset(self.lost())
        self._answered = self._looked = self.clock()

    def answer(self) -> None:
        """There is an answer."""
        now = self.clock()
        self._longest = max(self._longest, now - self._answered)
        self._answered = now

    def check(self) -> None:
        """Look, every other second.

        Raises:
            Stalled: nothing has come for too long since a machine was lost.
        """
        now = self.clock()
        if now < self._looked + LOOK:
            return
        self._looked = now
        if self._lost is None and not self._before.issuperset(self.lost()):
            self._lost = now
            self._longest = max(self._longest, now - self._answered)  # a long task may just be at work elsewhere
        if self._lost is None:
            return
        still = now - max(self._lost, self._answered)
        if still >= max(PATIENCE, GAPS * self._longest):
            raise Stalled(f"no task has ended for {still:.0f} s since a machine died; what is left begins anew")

    def callback(self) -> type:
        """What Ray Data is to call at each step of an execution, by which an exception ends that."""
        from ray.data._internal.execution.execution_callback import ExecutionCallback  # slow to import

        check = self.check

        class Check(ExecutionCallback):
            def on_execution_step(self, executor: object) -> None:
                check()

        return Check

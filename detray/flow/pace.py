"""How long the rest of some work takes, by the pace of what was done last."""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 32
"""Times at which something was done that the pace is measured over."""


@dataclass
class Pace:
    """Units of work that were done, and when, s."""

    since: float = 0.0
    """The first time that something was done."""
    _seen: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def mark(self, done: float, now: float) -> None:
        """So much is done in all. What was done before the first mark is no measure: starting takes its own time."""
        if not self._seen:
            self.since = now
        self._seen.append((done, now))

    @property
    def measured(self) -> float:
        """For how long it has been measured, s."""
        return self._seen[-1][1] - self.since if self._seen else 0.0

    def left(self, rest: float, now: float) -> float | None:
        """Seconds that ``rest`` more units take from ``now``; None where no pace is known.

        While nothing is done they count down by one unit at most, and where that one takes longer the pace slows down.
        """
        if len(self._seen) < 2 or self._seen[-1][0] <= self._seen[0][0]:
            return None
        (first, since), (last, at) = self._seen[0], self._seen[-1]
        unit = max((at - since) / (last - first), (now - since) / (last - first + 1))
        return max(rest * unit - min(now - at, unit), 0.0)

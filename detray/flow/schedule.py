"""How long trainings that share some places still take: by their epochs, and by how long one takes to start."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

WINDOW = 16
"""Epochs and starts whose times count: those that were last."""


@dataclass
class Schedule:
    """Trainings of ``total`` epochs each, some at once; ``began``: when the first of them did, s, if that is known.

    A place is free from the start, or from when another training ended in it. A training takes one place, needs a while
    to start, as the first epoch tells, and then an epoch after the other.
    """

    total: int
    began: float | None = None
    _last: dict[str, tuple[int, float]] = field(default_factory=dict)
    _free: list[float] = field(default_factory=list)
    _over: set[str] = field(default_factory=set)
    _unsure: set[str] = field(default_factory=set)
    _most: int = 1
    _epochs: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _starts: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def known(self, name: str, epoch: int) -> None:
        """A training had come so far before anybody looked: no measure of anything."""
        if epoch >= self.total:
            self._over.add(name)

    def mark(self, name: str, epoch: int, now: float, *, measured: bool = True) -> None:
        """An epoch, from 1, of a training has ended; ``measured``: now, and not at an unknown time before."""
        if name in self._last:
            before, at = self._last[name]
            if measured and name not in self._unsure:
                self._epochs.append((now - at) / max(epoch - before, 1))
        elif measured:
            since = self._free.pop(0) if self._free else self.began
            if since is not None and epoch == 1:
                self._starts.append((since, now))
        (self._unsure.discard if measured else self._unsure.add)(name)
        self._last[name] = epoch, now
        self._most = max(self._most, sum(name not in self._over for name in self._last))
        if epoch >= self.total:
            self.end(name, now)

    def end(self, name: str, now: float) -> None:
        """A training has come to its end, maybe before its last epoch."""
        if name not in self._over:
            self._over.add(name)
            if name in self._last:
                self._free.append(now)

    def left(self, names: Sequence[str], now: float, done: Mapping[str, int] | None = None) -> float | None:
        """Seconds from ``now`` until the last of some trainings ends; None while nobody knows how long an epoch takes.

        Args:
            names: all trainings, in the order in which they begin.
            now: of the same clock as what was marked.
            done: epochs that a training had before anybody looked.
        """
        if not self._epochs:
            return None
        epoch = median(self._epochs)
        start = max(median(end - since for since, end in self._starts) - epoch, 0.0) if self._starts else 0.0
        running = [name for name in names if name in self._last and name not in self._over]
        ends = [self._end_of(name, epoch, now) for name in running]
        waiting = [name for name in names if name not in self._last and name not in self._over]
        places = sorted([*ends, *_places(self._free, self._most - len(running), now)])
        for name in waiting:
            rest = self.total - (done or {}).get(name, 0)
            places[0] = max(places[0] + start + epoch, now) + (rest - 1) * epoch
            ends.append(places[0])
            places.sort()
        return max(max(ends, default=now) - now, 0.0)

    def _end_of(self, name: str, epoch: float, now: float) -> float:
        """When a training that has begun ends: what it does now takes as long as usual, or until now."""
        number, at = self._last[name]
        return max(at + epoch, now) + (self.total - number - 1) * epoch


def _places(free: Collection[float], count: int, now: float) -> list[float]:
    """Since when each of ``count`` places is free."""
    known = sorted(free)[-count:] if count > 0 else []
    return [now] * (count - len(known)) + known

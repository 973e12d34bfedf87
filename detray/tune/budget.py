"""How long a search may go on: whole epochs of all its trials, minutes and GPU hours, counted over restarts."""

from dataclasses import dataclass, field
from time import monotonic

from detray.flow.workspace import Workspace

SPENT = "spent.json"
"""In the search's workspace: the seconds that it took so far."""


@dataclass
class Budget:
    """What is left of ``max_epochs``, ``minutes`` and ``gpu_hours``; None: no end of them. A trial holds ``gpus``."""

    workspace: Workspace
    max_epochs: int | None
    minutes: float | None
    gpu_hours: float | None = None
    gpus: float = 0
    _trained: dict[str, float] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)
    _start: float | None = None

    def begin(self) -> None:
        """Start the clock, at what an earlier start took."""
        self._start = monotonic() - (self.workspace.read_json(SPENT, float) or 0.0)

    def take(self, trial_id: str, epoch: int, seconds: float = 0.0) -> None:
        """See that a trial has come to the end of an epoch, so many seconds after its beginning."""
        self._epochs[trial_id], self._trained[trial_id] = epoch, seconds
        if self.minutes is not None:
            self.workspace.write_json(SPENT, self._seconds)

    @property
    def _seconds(self) -> float:
        return 0.0 if self._start is None else monotonic() - self._start

    @property
    def _spent(self) -> list[str]:
        """Each part of which nothing is left, in words."""
        gpu_hours = self.gpus * sum(self._trained.values()) / 3600
        parts = (
            ("max_epochs", self.max_epochs, sum(self._epochs.values())),
            ("minutes", self.minutes, self._seconds / 60 if self.minutes is not None else 0.0),
            ("gpu_hours", self.gpu_hours, gpu_hours),
        )
        return [f"tune.{name}, {most:g}" for name, most, spent in parts if most is not None and spent >= most]

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        return bool(self._spent)

    @property
    def end(self) -> str | None:
        """What ended the search, in words; None where it went on to its last trial."""
        return " and ".join(self._spent) or None

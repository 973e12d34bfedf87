"""How long a search may go on: whole epochs of all its trials, and minutes, counted over restarts."""

from dataclasses import dataclass, field
from time import monotonic

from detray.flow.workspace import Workspace

SPENT = "spent.json"
"""In the search's workspace: the seconds that it took so far."""


@dataclass
class Budget:
    """What is left of ``max_epochs`` and ``minutes``; None: no end of them."""

    workspace: Workspace
    max_epochs: int | None
    minutes: float | None
    _epochs: dict[str, int] = field(default_factory=dict)
    _start: float | None = None

    def begin(self) -> None:
        """Start the clock, at what an earlier start took."""
        self._start = monotonic() - (self.workspace.read_json(SPENT, float) or 0.0)

    def take(self, trial_id: str, epoch: int) -> None:
        """See that a trial has come to the end of an epoch."""
        self._epochs[trial_id] = epoch
        if self.minutes is not None:
            self.workspace.write_json(SPENT, self._seconds)

    @property
    def _seconds(self) -> float:
        return 0.0 if self._start is None else monotonic() - self._start

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        epochs, minutes = self.max_epochs, self.minutes
        return (epochs is not None and sum(self._epochs.values()) >= epochs) or (
            minutes is not None and self._seconds >= 60 * minutes
        )

    @property
    def end(self) -> str | None:
        """What ended the search, in words; None where it went on to its last trial."""
        if not self.is_over:
            return None
        spent = [f"tune.max_epochs, {self.max_epochs}"] if self.max_epochs is not None else []
        return " or ".join([*spent, *([f"tune.minutes, {self.minutes:g}"] if self.minutes is not None else [])])

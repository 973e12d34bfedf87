"""All trainings of a tuning in the order in which they may begin: the trials of the search, then those of the proof.

Both are one run, so that whoever runs them keeps its processes, which have imported TensorFlow and read the pictures.
Nobody waits for the last trials of the search: the baseline is trained on its fresh seeds meanwhile, whatever wins.
"""

from dataclasses import dataclass, field
from functools import cached_property

from detray.tune.finals import baseline_finals, finals
from detray.tune.search import Search
from detray.tune.trial import End, Trial


@dataclass
class Course:
    """Hands out trainings and takes their ends, in any order; ``ends`` are those of the proof by trial."""

    search: Search
    ends: dict[str, End] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _is_handed_out: bool = False

    def next(self) -> Trial | None:
        """The next training; None where none may begin, now or, see `is_over`, at all."""
        if not self._is_handed_out:
            if (trial := self.search.next()) is not None:
                return trial
            self._is_handed_out = True
        proofs = self.proofs if self.is_searched else self._sure
        for trial_id, trial in proofs.items():
            if trial_id not in self._begun:
                self._begun.add(trial_id)
                return trial
        return None

    @property
    def is_searched(self) -> bool:
        """Whether the search has ended."""
        is_handed_out = self._is_handed_out or len(self.search.trials) >= self.search.size
        return is_handed_out and len(self.search.ends) == len(self.search.trials)

    @property
    def is_over(self) -> bool:
        """Whether every training has begun."""
        return self.is_searched and self._begun.issuperset(self.proofs)

    @cached_property
    def proofs(self) -> dict[str, Trial]:
        """The trainings of the proof by their ids, once the search has ended; none where there is nothing to prove."""
        return finals(self.search) if self._is_promising else {}

    @cached_property
    def _sure(self) -> dict[str, Trial]:
        return baseline_finals(self.search) if self._is_promising else {}

    @property
    def _is_promising(self) -> bool:
        """Whether the baseline and any other trial may come through, or have."""
        first, *others = [self.search.ends.get(trial.trial_id) for trial in self.search.trials]
        return (first is None or first.status == "completed") and any(
            end is None or end.status == "completed" for end in others
        )

    @property
    def running(self) -> int:
        """Trainings that have begun and not ended."""
        return len(self.search.trials) - len(self.search.ends) + len(self._begun) - len(self.ends)

    def finish(self, end: End) -> None:
        """Take the end of a training."""
        if end.trial.phase == "search":
            self.search.finish(end)
        else:
            self.ends[end.trial.trial_id] = end

    def goes_on(self, trial: Trial, epoch: int, ap: object = None, seconds: float = 0.0) -> bool:
        """Whether a training may go on after an epoch: those of the proof always, others as the budget says."""
        return trial.phase == "proof" or self.search.goes_on(trial, epoch, ap, seconds)

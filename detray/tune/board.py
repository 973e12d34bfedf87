"""What is known of the trials while they run: a table for the person who waits, and for the one who interrupts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from detray.flow.outcome import Table
from detray.tune.objective import focus_ap, objective
from detray.tune.search import Search
from detray.tune.space import in_words
from detray.tune.trial import Epoch, Trial, as_array, kept_among

QUANTILE = 2.09
"""Of Student's t for an interval of 95% over 20 groups of images."""
SHOWN = 10
"""Trials that are shown: the best ones."""

COLUMNS = ("trial", "changed", "epoch", "focus AP", "95% over images", "guard", "status")


@dataclass
class Board:
    """The epochs of some trials as they come; ``trials`` are those that have begun, by id."""

    search: Search
    trials: Callable[[], Mapping[str, Trial]]
    _epochs: dict[str, list[Epoch]] = field(default_factory=dict)

    def take(self, trial_id: str, content: bytes) -> None:
        """See an epoch, as it is kept."""
        self._epochs.setdefault(trial_id, []).append(msgspec.json.decode(content, type=Epoch))

    def table(self) -> Table:
        """The trials so far, the best first."""
        begun = self.trials()
        told = [(self._objective(begun[name]), self._row(begun[name])) for name in self._epochs if name in begun]
        told.sort(key=lambda entry: -(entry[0] if entry[0] is not None else -np.inf))
        rows = [row for _, row in told]
        left_out = len(rows) - SHOWN
        more = f", {left_out} more" if left_out > 0 else ""
        return Table(f"trials so far, best first, by {self._focus}{more}", COLUMNS, rows[:SHOWN])

    @property
    def _focus(self) -> str:
        return ", ".join(self.search.bench.focus_names)

    def lines(self) -> list[str]:
        """The same in sentences, of all trials."""
        begun = self.trials()
        return [self._line(*self._row(begun[name])) for name in self._epochs if name in begun]

    def _line(self, trial: object, changed: object, done: object, score: object, *more: object) -> str:
        interval, guard, status = more
        known = f"{score:.3f} {interval}".strip() if isinstance(score, float) else "unknown"
        others = f"; {guard}" if guard else ""
        return f"{trial} ({changed}): AP of {self._focus} {known}, epochs {done}, {status}{others}"

    def _kept(self, trial: Trial) -> Epoch | None:
        whole = self._epochs.get(trial.trial_id, [])
        number = kept_among(self.search.bench, trial, whole)
        return whole[number - 1] if number else None

    def _baseline(self) -> Epoch | None:
        return self._kept(self.search.baseline) if self.search.trials else None

    def _objective(self, trial: Trial) -> float | None:
        kept, base = self._kept(trial), self._baseline()
        before = None if base is None else as_array(base.ap)
        bench, most = self.search.bench, self.search.settings.guard.max_drop
        return None if kept is None else objective(as_array(kept.ap), before, bench.is_focus, most)

    def _row(self, trial: Trial) -> list[object]:
        bench, kept = self.search.bench, self._kept(trial)
        score = None if kept is None else focus_ap(as_array(kept.ap), bench.is_focus)
        error = None if kept is None else kept.error
        interval = ""
        if score is not None and error is not None:
            low, high = max(score - QUANTILE * error, 0.0), min(score + QUANTILE * error, 1.0)
            interval = f"[{low:.3f}, {high:.3f}]"
        end = self.search.ends.get(trial.trial_id)
        done = f"{len(self._epochs[trial.trial_id])}/{trial.settings.epochs}"
        status = end.status if end is not None else "running"
        return [trial.trial_id, self._changed(trial), done, score, interval, self._guard(trial), status]

    def _changed(self, trial: Trial) -> str:
        if trial.phase == "proof":
            return f"seed {trial.settings.seed}"
        choice = self.search.choices[self.search.trials.index(trial)]
        return in_words(self.search.space.changed(choice)) or "as configured"

    def _guard(self, trial: Trial) -> str:
        """The other class that lost most against the baseline."""
        kept, base = self._kept(trial), self._baseline()
        bench = self.search.bench
        if kept is None or base is None or trial.is_baseline or trial.phase == "proof":
            return ""
        change = np.where(bench.is_focus, np.nan, as_array(kept.ap) - as_array(base.ap))
        if np.isnan(change).all():
            return ""
        worst = int(np.nanargmin(change))
        return f"{bench.classes[bench.class_ids[worst]]} {change[worst]:+.3f}"

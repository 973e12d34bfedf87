"""Which trials a search makes: the baseline, then guesses, then what Optuna proposes.

A proposal depends on the seed, its number and the history alone, never on a sampler's hidden
state. So a search that was killed goes on as if it had not been, the trials are the same with and
without Ray as long as the sampler draws at random (TPE: the first ten), and none is made twice.
Where the space follows from a diagnosis, TPE's first ten climb: each depends on what has ended by
then, so that trials that run side by side take other steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import numpy as np

from detray.tune.bench import Bench
from detray.tune.budget import Budget
from detray.tune.climb import next_step
from detray.tune.objective import objective
from detray.tune.pareto import on_front
from detray.tune.settings import TuneSettings
from detray.tune.space import Choice, Range, Space
from detray.tune.trial import End, Epoch, Trial, as_array, epochs, kept_among, read_epoch

CHOICE = "choice.json"
"""In a trial's workspace: the point of the space that it tries."""

Kind = Literal["optuna", "random", "grid"]

STARTUP = 10
"""Trials of which TPE learns before it proposes any."""

ATTEMPTS = 20
"""Draws until one is new; then the first untried point is taken."""


@dataclass(frozen=True)
class Attempt:
    """A point that was tried; ``objective`` is None while it runs and if it failed, ``milliseconds`` of inference a
    picture where they are not known."""

    choice: Choice
    objective: float | None
    milliseconds: float | None = None


def propose(space: Space, history: Sequence[Attempt], search: Kind, seed: int, *, is_timed: bool = False) -> Choice:
    """The next point of the search, one that ``history`` does not hold.

    ``search``: optuna is the tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011); grid takes every
    point that is listed, in its order. With ``is_timed`` the estimator seeks a high objective and few milliseconds
    both (Ozaki et al., GECCO 2020), and learns of attempts of which both are known.

    Raises:
        StopIteration: every point of the space was tried.
    """
    tried = [attempt.choice for attempt in history]
    for known in (space.origin, *space.guesses):
        if known not in tried:
            return known
    if search == "grid":
        return next(point for point in space.points(is_grid=True) if point not in tried)
    n_known = sum(attempt.objective is not None for attempt in history)
    if search == "optuna" and space.climb and n_known < STARTUP and not is_timed:
        step = next_step(space, _best(space, history), tried)
        if step is not None:
            return step

    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drawn = (seed + 1_000_003 * len(history)) % 2**32
    sampler: optuna.samplers.BaseSampler = (
        optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=drawn)
        if search == "optuna"
        else optuna.samplers.RandomSampler(seed=drawn)
    )
    study = optuna.create_study(directions=["maximize", "minimize"][: 1 + is_timed], sampler=sampler)
    axes = {name: _distribution(axis) for name, axis in space.values.items()}
    for attempt in history:
        params, values = attempt.choice, [attempt.objective, attempt.milliseconds][: 1 + is_timed]
        if None not in values:
            known = {name: axes[name] for name in params}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=known, values=values))
    for _ in range(ATTEMPTS):
        choice = _drawn(space, study.ask())
        if choice not in tried:
            return choice
    return next(point for point in space.points() if point not in tried)


def _best(space: Space, history: Sequence[Attempt]) -> Choice:
    """The point that came to most, the first of equal ones; the baseline while none has ended."""
    known = [(attempt.objective, -place) for place, attempt in enumerate(history) if attempt.objective is not None]
    return history[-max(known)[1]].choice if known else space.origin


def _distribution(axis: tuple[Any, ...] | Range) -> Any:
    from optuna import distributions

    if isinstance(axis, tuple):
        return distributions.CategoricalDistribution(range(len(axis)))
    if axis.is_whole:
        return distributions.IntDistribution(int(axis.low), int(axis.high), axis.log, int(axis.step or 1))
    return distributions.FloatDistribution(axis.low, axis.high, axis.log, axis.step)


def _drawn(space: Space, draw: Any) -> Choice:
    """A point of the space, setting by setting; ``draw`` is an Optuna trial."""
    choice: Choice = {}
    for name, axis in space.values.items():
        if space.is_active(name, choice):
            if isinstance(axis, tuple):
                choice[name] = draw.suggest_categorical(name, range(len(axis)))
            elif axis.is_whole:
                low, high = int(axis.low), int(axis.high)
                choice[name] = draw.suggest_int(name, low, high, step=int(axis.step or 1), log=axis.log)
            else:
                choice[name] = draw.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)
    return choice


@dataclass
class Search:
    """A search under way: hands out trials and takes their ends, in any order.

    Proposals are kept in the trials' workspaces, so that a search which was cut off makes the same.
    """

    bench: Bench
    space: Space
    settings: TuneSettings
    trials: list[Trial] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    ends: dict[str, End] = field(default_factory=dict)

    @cached_property
    def budget(self) -> Budget:
        """What is left for the search."""
        settings = self.settings
        return Budget(
            self.bench.workspace, settings.max_epochs, settings.minutes, settings.gpu_hours, gpus=self.bench.gpus
        )

    @property
    def size(self) -> int:
        """How many trials it makes."""
        if self.settings.search != "grid":
            return self.space.size(self.settings.trials)
        points = islice(self.space.points(is_grid=True), self.settings.trials)
        return 1 + sum(point != self.space.origin for point in points)

    @property
    def ids(self) -> list[str]:
        """Of these, in their order."""
        return [f"search-{number:04d}" for number in range(self.size)]

    def next(self) -> Trial | None:
        """The next trial; None after the last, or where the budget lets none begin."""
        number = len(self.trials)
        if number >= self.size:
            return None
        trial_id = self.ids[number]
        workspace = self.bench.workspace.below(trial_id)
        choice = workspace.read_json(CHOICE, Choice)
        if choice is None:
            if self.budget.is_over:
                return None
            choice = self._propose()
            workspace.write_json(CHOICE, choice)
        self.choices.append(choice)
        settings, detector = self.space.train_settings(choice), self.space.detector_settings(choice)
        own = self.space.own_values(choice)
        self.trials.append(Trial(trial_id, "search", settings, detector, is_baseline=number == 0, own=own))
        return self.trials[-1]

    def _propose(self) -> Choice:
        history = [
            Attempt(choice, self.objective(trial), self.milliseconds(trial))
            for trial, choice in zip(self.trials, self.choices, strict=True)
        ]
        settings = self.settings
        return propose(self.space, history, settings.search, settings.seed, is_timed=self.bench.is_timed)

    def goes_on(self, trial: Trial, epoch: int, ap: object = None, seconds: float = 0.0) -> bool:
        """Whether the budget lets a trial go on after an epoch, so many seconds after its beginning; the baseline
        always does."""
        self.budget.take(trial.trial_id, epoch, seconds)
        return trial.is_baseline or not self.budget.is_over

    def finish(self, end: End) -> None:
        """Take the end of a trial."""
        self.ends[end.trial.trial_id] = end

    def objective(self, trial: Trial) -> float | None:
        """The objective of a trial that ended; None if it runs or has no result."""
        end = self.ends.get(trial.trial_id)
        if end is None or end.status == "failed" or not end.kept.ap:
            return None
        # a trial that was stopped is judged by what the baseline was by then
        before = epochs(self.bench, self.baseline)[: end.epochs if end.status == "stopped" else None]
        number = kept_among(self.bench, self.baseline, before)
        return self._objective(end.kept, before[number - 1] if before else None)

    def milliseconds(self, trial: Trial) -> float | None:
        """Of inference a picture; of a trial that was not timed, those of another one with the same detector."""
        end = self.ends.get(trial.trial_id)
        if end is not None and end.milliseconds is not None:
            return end.milliseconds
        alike = (other.milliseconds for other in self.ends.values() if other.trial.detector == trial.detector)
        return next((found for found in alike if found is not None), None)

    def front(self) -> list[Trial]:
        """The completed trials that no other beats in objective and time of inference both, the fastest first."""
        completed = [trial for trial in self.trials if self.ends[trial.trial_id].status == "completed"]
        scores = as_array([self.objective(trial) for trial in completed])
        times = as_array([self.ends[trial.trial_id].milliseconds for trial in completed])
        marked = on_front(scores, times)
        return [completed[place] for place in np.argsort(times, kind="stable") if marked[place]]

    def last_objective(self, trial: Trial) -> float | None:
        """The same of the last epochs of the trial and the baseline."""
        end = self.ends[trial.trial_id]
        before = read_epoch(self.bench, self.baseline, end.epochs) or self.ends[self.baseline.trial_id].last
        return None if end.status == "failed" or not end.last.ap else self._objective(end.last, before)

    def _objective(self, epoch: Epoch, baseline: Epoch | None) -> float | None:
        before = as_array(baseline.ap) if baseline is not None and baseline.ap else None
        return objective(as_array(epoch.ap), before, self.bench.is_focus, self.settings.guard.max_drop)

    @property
    def baseline(self) -> Trial:
        return self.trials[0]

    def finalists(self) -> list[Trial]:
        """The completed trials but the baseline, best objective first, as many as are to be proven; none that is
        slower than the settings allow."""
        most = self.settings.max_ms
        ranked = [
            (score, trial)
            for trial in self.trials[1:]
            if self.ends[trial.trial_id].status == "completed" and (score := self.objective(trial)) is not None
            if most is None or (self.milliseconds(trial) or 0.0) <= most
        ]
        ranked.sort(key=lambda entry: -entry[0])
        return [trial for _, trial in ranked[: self.settings.finalists]]

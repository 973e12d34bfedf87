"""The learning rate from step to step."""

import math
from dataclasses import dataclass

from detray.detectors.settings import TrainSettings
from detray.errors import UsageError

WARM_UP_STEPS = 50
"""Steps in which the learning rate rises to its peak, at most a fifth of all."""

DROPS = (0.6, 0.85)
"""Shares of the training after which the schedule ``step`` divides the rate by ten."""

LOWEST, CYCLES = 0.1, 4
"""Of the schedule ``cyclical``: share of the peak between its triangles, and how many there are (Smith, WACV 2017)."""

START, END, RISE = 1 / 25, 1 / 25e4, 0.3
"""Of the schedule ``one_cycle``: shares of the peak at its ends, and of the steps in its rise (Smith & Topin, 2018)."""


@dataclass(frozen=True)
class Schedule:
    """The rate of each of ``total`` steps, ``warm_up`` of which lead to the peak.

    Raises:
        UsageError: by `of`, where the warm-up or one step of the optimizer takes the whole training.
    """

    settings: TrainSettings
    total: int
    warm_up: int

    @classmethod
    def of(cls, settings: TrainSettings, steps: int) -> "Schedule":
        """For ``steps`` an epoch."""
        total = settings.epochs * steps
        if settings.warmup_steps is not None:
            warm_up = settings.warmup_steps
        elif settings.warmup_epochs is not None:
            warm_up = round(settings.warmup_epochs * steps)
        elif settings.schedule == "one_cycle":
            warm_up = round(RISE * total)
        else:
            warm_up = 0 if settings.schedule == "cyclical" else min(WARM_UP_STEPS, total // 5)
        if settings.accumulate > total:
            raise UsageError(f"train.accumulate is {settings.accumulate}, and the whole training has {total} steps")
        if warm_up >= total:
            name = "warmup_steps" if settings.warmup_epochs is None else "warmup_epochs"
            raise UsageError(
                f"train.{name} takes {warm_up} steps, and the whole training has {total}: {settings.epochs} epochs of"
                f" {steps}"
            )
        return cls(settings, total, warm_up)

    def rate(self, step: int) -> float:
        """The rate of step ``step``, from 0."""
        peak, done = self.settings.learning_rate, (step - self.warm_up) / max(self.total - self.warm_up, 1)
        if self.settings.schedule == "one_cycle":
            return peak * (_between(START, 1, step / self.warm_up) if step < self.warm_up else _between(1, END, done))
        if step < self.warm_up:
            return peak * (step + 1) / self.warm_up
        if self.settings.schedule == "cosine":
            return peak * (1 + math.cos(math.pi * done)) / 2
        if self.settings.schedule == "step":
            return peak * 0.1 ** sum(done >= drop for drop in DROPS)
        if self.settings.schedule == "cyclical":
            height = 1 - abs(2 * (done * (self.settings.cycles or CYCLES) % 1) - 1)
            return peak * (LOWEST + (1 - LOWEST) * height)
        return peak


def _between(start: float, end: float, done: float) -> float:
    """Half a cosine from ``start`` to ``end``."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2

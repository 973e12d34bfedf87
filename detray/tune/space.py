"""The search space: which values of which train settings a trial may take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import msgspec

from detray.detectors.settings import TrainSettings
from detray.errors import UsageError
from detray.tune.settings import TuneSettings, train_value

AUTO: Mapping[str, Sequence[Any]] = {
    "focal_alpha": (0.15, 0.2, 0.25),
    "focal_gamma": (1.0, 1.5, 2.0, 3.0),
    "freeze_units": (0, 1, 2),
    "augmentation": ("none", "default", "strong"),
    "oversample": (2, 4, 8),
}
"""What ``tune.space: auto`` tries beside the configured value of each setting."""

DEEPEST_UNTRAINED = 1
"""Units that auto freezes at most where the backbone starts from random weights."""

FIRST_GUESS = {"oversample": 8}
"""The one setting that reliably moved a rare class's AP when each was tried alone: the second trial of auto."""

Choice = dict[str, int]
"""A point of the space: by setting, the position of its value in `Space.values`."""


@dataclass(frozen=True)
class Space:
    """Finitely many values for each setting that varies; the first is the baseline's own.

    ``guesses`` are points that the search tries before any other but the baseline.
    """

    baseline: TrainSettings
    values: dict[str, tuple[Any, ...]]
    guesses: tuple[Choice, ...] = ()

    @cached_property
    def size(self) -> int:
        """How many different points there are."""
        return prod(len(values) for values in self.values.values())

    @property
    def origin(self) -> Choice:
        """The baseline as a point."""
        return dict.fromkeys(self.values, 0)

    def train_settings(self, choice: Choice) -> TrainSettings:
        """All settings of a trial: the baseline with the values at ``choice``."""
        return msgspec.structs.replace(self.baseline, **self.changed(choice))

    def changed(self, choice: Choice) -> dict[str, Any]:
        """The settings in which ``choice`` differs from the baseline."""
        return {field: self.values[field][index] for field, index in choice.items() if index}


def search_space(settings: TuneSettings, baseline: TrainSettings, focus: tuple[str, ...], *, pretrained: bool) -> Space:
    """The space that ``settings.space`` asks for, around ``baseline``.

    ``focus`` names the classes whose images ``oversample`` repeats; ``pretrained`` says that the
    backbone starts from weights that were learnt.

    Raises:
        UsageError: no setting has a value other than the baseline's.
    """

    def value(field: str, option: object) -> Any:
        found = train_value(field, option, focus)
        return baseline.oversample | found if field == "oversample" else found

    is_auto = isinstance(settings.space, str)
    asked = dict(AUTO) if isinstance(settings.space, str) else settings.space
    if is_auto and not pretrained:
        asked["freeze_units"] = [depth for depth in asked["freeze_units"] if depth <= DEEPEST_UNTRAINED]
    values = {}
    for field, options in asked.items():
        found = [getattr(baseline, field)]
        for option in options:
            if (new := value(field, option)) not in found:
                found.append(new)
        if len(found) > 1:
            values[field] = tuple(found)
    if not values:
        raise UsageError("tune.space holds no value that differs from the train section; add one to try")
    space = Space(baseline, values)
    if not is_auto:
        return space
    guess = space.origin | {
        field: values[field].index(value(field, option)) for field, option in FIRST_GUESS.items() if field in values
    }
    return Space(baseline, values, (guess,) if guess != space.origin else ())

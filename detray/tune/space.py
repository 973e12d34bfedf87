"""The search space: which values of which settings a trial may take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, product
from math import prod
from typing import Any

import msgspec

from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import UsageError
from detray.tune.dotted import DETECTOR, get, put
from detray.tune.settings import TuneSettings, space_value

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
    """Finitely many values for each setting that varies, by dotted name; the first is the baseline's own.

    ``guesses`` are points that the search tries before any other but the baseline.
    """

    baseline: TrainSettings
    values: dict[str, tuple[Any, ...]]
    guesses: tuple[Choice, ...] = ()
    detector: DetectorSettings = field(default_factory=DetectorSettings)

    @cached_property
    def size(self) -> int:
        """How many different points there are."""
        return prod(len(values) for values in self.values.values())

    @property
    def origin(self) -> Choice:
        """The baseline as a point."""
        return dict.fromkeys(self.values, 0)

    def train_settings(self, choice: Choice) -> TrainSettings:
        """All train settings of a trial: the baseline's with the values at ``choice``."""
        settings = self.baseline
        for name, value in self.changed(choice).items():
            if not name.startswith(DETECTOR):
                settings = put(settings, name, value)
        return settings

    def detector_settings(self, choice: Choice) -> DetectorSettings:
        """All detector settings of a trial."""
        settings = self.detector
        for name, value in self.changed(choice).items():
            if name.startswith(DETECTOR):
                settings = put(settings, name.removeprefix(DETECTOR), value)
        return settings

    @property
    def neighbours(self) -> list[TrainSettings]:
        """The baseline's train settings, and those in which one value differs."""
        steps = [{name: index} for name, values in self.values.items() for index in range(1, len(values))]
        return [self.baseline, *(self.train_settings(self.origin | step) for step in steps)]

    @cached_property
    def detectors(self) -> tuple[DetectorSettings, ...]:
        """All detectors of the space, the baseline's first."""
        axes = {name: range(len(values)) for name, values in self.values.items() if name.startswith(DETECTOR)}
        points = (dict(zip(axes, point, strict=True)) for point in product(*axes.values()))
        return tuple(self.detector_settings(point) for point in points)

    def changed(self, choice: Choice) -> dict[str, Any]:
        """The settings in which ``choice`` differs from the baseline."""
        return {field: self.values[field][index] for field, index in choice.items() if index}


def search_space(
    settings: TuneSettings,
    baseline: TrainSettings,
    focus: tuple[str, ...],
    detector: DetectorSettings = DetectorSettings(),  # noqa: B008 - immutable
) -> Space:
    """The space that ``settings.space`` asks for, around ``baseline`` and ``detector``.

    ``focus`` names the classes whose images ``oversample`` repeats.

    Raises:
        UsageError: no setting has a value other than the baseline's, or two values do not go together.
    """

    def value(name: str, option: object) -> Any:
        found = space_value(name, option, focus)
        return baseline.oversample | found if name == "oversample" else found

    is_auto = isinstance(settings.space, str)
    asked = dict(AUTO) if isinstance(settings.space, str) else settings.space
    if is_auto and detector.weights is None:
        asked["freeze_units"] = [depth for depth in asked["freeze_units"] if depth <= DEEPEST_UNTRAINED]
    values = {}
    for name, options in asked.items():
        found = [get(detector, name.removeprefix(DETECTOR)) if name.startswith(DETECTOR) else get(baseline, name)]
        for option in options:
            if (new := value(name, option)) not in found:
                found.append(new)
        if len(found) > 1:
            values[name] = tuple(found)
    if not values:
        raise UsageError("tune.space holds no value that differs from the train section; add one to try")
    space = Space(baseline, values, detector=detector)
    _require_agreement(space)
    if not is_auto:
        return space
    guess = space.origin | {
        name: values[name].index(value(name, option)) for name, option in FIRST_GUESS.items() if name in values
    }
    return replace(space, guesses=(guess,) if guess != space.origin else ())


def _require_agreement(space: Space) -> None:
    """Refuse values that do not go together, two by two: all refusals are of two settings."""
    steps = [{name: index} for name, values in space.values.items() for index in range(1, len(values))]
    for one, other in [*((step, {}) for step in steps), *combinations(steps, 2)]:
        if one.keys() != other.keys():
            choice = space.origin | one | other
            try:
                space.train_settings(choice), space.detector_settings(choice)
            except (ValueError, msgspec.ValidationError) as error:
                tried = ", ".join(f"{name} {value}" for name, value in space.changed(choice).items())
                raise UsageError(f"tune.space: {tried}: {error}") from None

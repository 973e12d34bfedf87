"""The search space: which values of which settings a trial may take."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, islice, product
from typing import Any

import msgspec

from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import UsageError
from detray.tune.dotted import DETECTOR, OWN, get, put
from detray.tune.settings import Axis, TuneSettings, space_value

Choice = dict[str, int | float]
"""A point of the space: by setting, the position of its value in `Space.values`, or the number itself in a range.
A setting that is not named has the baseline's value."""


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, both included; whole ones where both ends are, and in ``step`` where one is given."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def numbers(self) -> Sequence[int | float] | None:
        """All of it; None where there is no end of them."""
        if self.is_whole:
            return range(int(self.low), int(self.high) + 1, int(self.step or 1))
        if self.step is None:
            return None
        count = int((self.high - self.low) / self.step + 1e-9) + 1
        return [round(self.low + self.step * number, 10) for number in range(count)]


@dataclass(frozen=True)
class Space:
    """The values of each setting that varies, by dotted name: a list, the first of which is the baseline's own, or a
    range.

    ``own`` are the baseline's values of names that only the trainer knows, `OWN`. ``guesses`` are points that the
    search tries before any other but the baseline, ``climb`` the single settings that it tries next, in their order;
    empty: it does not climb. ``when`` holds the settings that vary only where others, which
    stand before them, have one of some values; ``unlisted`` those whose list did not name the baseline's own value,
    which a grid leaves out.
    """

    baseline: TrainSettings
    values: Mapping[str, tuple[Any, ...] | Range]
    guesses: tuple[Choice, ...] = ()
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    own: Mapping[str, Any] = field(default_factory=dict)
    when: Mapping[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)
    unlisted: frozenset[str] = frozenset()
    climb: tuple[Choice, ...] = ()

    def size(self, most: int) -> int:
        """How many different points there are, counted up to ``most``."""
        return sum(1 for _ in islice(self.points(), most)) if self.is_finite else most

    @property
    def is_finite(self) -> bool:
        return all(isinstance(axis, tuple) or axis.numbers is not None for axis in self.values.values())

    @property
    def origin(self) -> Choice:
        """The baseline as a point."""
        return self.active({name: 0 for name, axis in self.values.items() if isinstance(axis, tuple)})

    def is_active(self, name: str, choice: Choice) -> bool:
        """Whether a setting varies where those before it are as in ``choice``."""
        return all(self.value(other, choice) in allowed for other, allowed in self.when.get(name, {}).items())

    def active(self, choice: Choice) -> Choice:
        """``choice`` without what does not vary there."""
        found: Choice = {}
        for name in self.values:
            if name in choice and self.is_active(name, found):
                found[name] = choice[name]
        return found

    def value(self, name: str, choice: Choice) -> Any:
        """What a setting, of the space or not, is at ``choice``."""
        if name not in choice:
            if name.startswith(OWN):
                return self.own[name]
            is_detector = name.startswith(DETECTOR)
            return get(self.detector, name.removeprefix(DETECTOR)) if is_detector else get(self.baseline, name)
        axis = self.values[name]
        return axis[int(choice[name])] if isinstance(axis, tuple) else choice[name]

    def points(self, *, is_grid: bool = False) -> Iterator[Choice]:
        """All points of a finite space, the last setting varying fastest; of a grid only what is listed."""
        yield from self._points(list(self.values), {}, is_grid)

    def _points(self, names: list[str], choice: Choice, is_grid: bool) -> Iterator[Choice]:
        if not names:
            yield choice
            return
        name, *rest = names
        if not self.is_active(name, choice):
            yield from self._points(rest, choice, is_grid)
            return
        axis = self.values[name]
        if isinstance(axis, Range):
            taken: Sequence[int | float] = axis.numbers or ()
        else:
            taken = range(1 if is_grid and name in self.unlisted else 0, len(axis))
        for option in taken:
            yield from self._points(rest, choice | {name: option}, is_grid)

    def train_settings(self, choice: Choice) -> TrainSettings:
        """All train settings of a trial: the baseline's with the values at ``choice``."""
        settings = self.baseline
        for name, value in self.changed(choice).items():
            if not name.startswith((DETECTOR, OWN)):
                settings = put(settings, name, value)
        return settings

    def own_values(self, choice: Choice) -> dict[str, Any]:
        """What a trial changes of the trainer's own configuration."""
        return {name: value for name, value in self.changed(choice).items() if name.startswith(OWN)}

    def detector_settings(self, choice: Choice) -> DetectorSettings:
        """All detector settings of a trial."""
        settings = self.detector
        for name, value in self.changed(choice).items():
            if name.startswith(DETECTOR):
                settings = put(settings, name.removeprefix(DETECTOR), value)
        return settings

    @property
    def steps(self) -> list[Choice]:
        """Each value other than the baseline's alone; of a range its ends."""
        return [{name: option} for name, axis in self.values.items() for option in _others(axis)]

    @property
    def neighbours(self) -> list[TrainSettings]:
        """The baseline's train settings, and those in which one value differs."""
        return [self.baseline, *(self.train_settings(self.origin | step) for step in self.steps)]

    @cached_property
    def detectors(self) -> tuple[DetectorSettings, ...]:
        """All detectors of the space, the baseline's first."""
        axes = {name: axis for name, axis in self.values.items() if name.startswith(DETECTOR)}
        options = [
            [None, *(axis.numbers or ())] if isinstance(axis, Range) else range(len(axis)) for axis in axes.values()
        ]
        points = (dict(zip(axes, point, strict=True)) for point in product(*options))
        found = [
            self.detector_settings({name: option for name, option in point.items() if option is not None})
            for point in points
        ]
        return tuple(list_without_repeats(found))

    def changed(self, choice: Choice) -> dict[str, Any]:
        """The settings in which ``choice`` differs from the baseline."""
        return {name: value for name in choice if (value := self.value(name, choice)) != self.value(name, {})}


def in_words(changed: Mapping[str, Any]) -> str:
    """Settings and their values."""
    return ", ".join(f"{name} {_value(value)}" for name, value in changed.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(f"{name} x{factor:g}" for name, factor in value.items()) if isinstance(value, dict) else str(value)


def _others(axis: tuple[Any, ...] | Range) -> Sequence[int | float]:
    return (axis.low, axis.high) if isinstance(axis, Range) else range(1, len(axis))


def search_space(
    settings: TuneSettings,
    baseline: TrainSettings,
    focus: tuple[str, ...],
    detector: DetectorSettings = DetectorSettings(),  # noqa: B008 - immutable
    own: Callable[[str], Any] | None = None,
) -> Space:
    """The space that is written out in ``settings.space``, around ``baseline`` and ``detector``.

    ``focus`` names the classes whose images a number for ``oversample`` repeats; ``own`` gives the value that a name
    beginning with `OWN` has in the trainer's own configuration.

    Raises:
        UsageError: no setting has a value other than the baseline's, or two values do not go together.
    """
    if isinstance(settings.space, str):
        raise TypeError("auto follows from the diagnosis: see auto.auto_space")
    stated = {name: own(name) for name in settings.space if name.startswith(OWN)} if own else {}
    fixed = Space(baseline, {}, detector=detector, own=stated)
    values: dict[str, tuple[Any, ...] | Range] = {}
    when: dict[str, dict[str, tuple[Any, ...]]] = {}
    unlisted = set()
    for name, written in settings.space.items():
        axis = written if isinstance(written, Axis) else Axis(choice=written)
        if axis.when:
            when[name] = {
                other: tuple(space_value(other, option, focus) for option in _as_list(allowed))
                for other, allowed in axis.when.items()
            }
        if axis.choice is None:
            values[name] = _range(name, axis)
            continue
        first = fixed.value(name, {})
        listed = [option_value(baseline, name, option, focus) for option in axis.choice]
        found = list_without_repeats([first, *listed])
        if len(found) > 1:
            values[name] = tuple(found)
            unlisted |= set() if first in listed else {name}
    if not values:
        raise UsageError("tune.space holds no value that differs from the train section; add one to try")
    space = Space(baseline, values, (), detector, stated, when, frozenset(unlisted))
    require_agreement(space)
    return space


def option_value(baseline: TrainSettings, name: str, option: object, focus: Sequence[str]) -> Any:
    """An option as its setting takes it, a repeat factor beside those that the baseline has."""
    found = space_value(name, option, tuple(focus))
    return baseline.oversample | found if name == "oversample" else found


def list_without_repeats(options: Sequence[Any]) -> list[Any]:
    """Values, not all of which can be hashed, each once."""
    found: list[Any] = []
    for option in options:
        if option not in found:
            found.append(option)
    return found


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _range(name: str, axis: Axis) -> Range:
    low, high = (space_value(name, end, ()) for end in (axis.low, axis.high))
    step = axis.step if axis.step is None or isinstance(low, float) else int(axis.step)
    return Range(low, high, axis.log, step)


def require_settable(space: Space, refusal: Callable[[str, Any], str | None]) -> None:
    """Refuse what the trainer cannot set: ``refusal`` says why, None where it can.

    Raises:
        UsageError: naming the setting.
    """
    for name, axis in space.values.items():
        for value in (axis.low, axis.high) if isinstance(axis, Range) else axis[1:]:
            if (reason := refusal(name, value)) is not None:
                raise UsageError(f"tune.space: {name}: the trainer cannot set it to {value}: {reason}")


def require_whole_grid(space: Space, trials: int) -> None:
    """Refuse a grid without an end, or with more points than there are to be trials.

    Raises:
        UsageError: it is one of these.
    """
    if not space.is_finite:
        name = next(name for name, axis in space.values.items() if isinstance(axis, Range) and axis.numbers is None)
        raise UsageError(f"tune.space: {name} is a range without a step, which no grid ends; add one, or list values")
    count = 1 + sum(1 for point in islice(space.points(is_grid=True), trials) if point != space.origin)
    if count > trials:
        raise UsageError(
            f"the grid of tune.space has more points than tune.trials, which is {trials}; raise it, or list less"
        )


def require_agreement(space: Space) -> None:
    """Refuse values that do not go together, two by two: all refusals are of two settings."""
    for one, other in [*((step, {}) for step in space.steps), *combinations(space.steps, 2)]:
        if one.keys() != other.keys():
            choice = space.active(space.origin | one | other)
            try:
                space.train_settings(choice), space.detector_settings(choice)
            except (ValueError, msgspec.ValidationError) as error:
                tried = ", ".join(f"{name} {value}" for name, value in space.changed(choice).items())
                raise UsageError(f"tune.space: {tried}: {error}") from None

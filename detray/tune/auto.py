"""``tune.space: auto``: what the diagnosis of the focus classes asks for, and a sentence about each lever."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow.compute as pc

from detray.detectors.retinanet.freezing import BACKBONE, UNITS
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.history import VAL
from detray.errors import UsageError
from detray.flow.data import Data
from detray.settings import parse_yaml
from detray.tune.dotted import DETECTOR, get, put
from detray.tune.space import Choice, Space, in_words, list_without_repeats, option_value, require_agreement
from detray.tune.survey import Survey

LEVERS = (
    *("oversample", "class_weights", "focal_alpha", "focal_gamma", "box_loss_weight", "augmentation"),
    *("freeze_units", "learning_rate", "weight_decay"),
)
"""What a remedy may ask for, in the order in which it is told."""

DEFAULT: Mapping[str, Sequence[Any]] = {
    "oversample": (2, 4, 8),
    "focal_gamma": (1.0, 1.5),
    "augmentation": ("none", "default", "strong"),
}
"""What is tried where no diagnosis names a lever."""

REPEATS = ("oversample", "class_weights")
"""Levers that nobody sets without a reason in the data: their defaults are no way back."""

UNASKED = "no cause that holds asks for it"

LONGEST = 3.0
"""Oversampling makes an epoch at most this many times as long as the pictures are many."""

LEAST_OTHERS = 0.1
"""Share of the pictures that must lack a class, or showing those that hold it more often shifts nothing."""


@dataclass(frozen=True)
class Remedy:
    """What one cause of a class asks for; ``d_ap`` is the most that mending it can regain, None where nobody knows."""

    class_name: str
    cause: str
    d_ap: float | None
    levers: Mapping[str, Sequence[Any]]
    is_diagnosed: bool = True

    @property
    def name(self) -> str:
        return f"{self.class_name}: {self.cause}"


@dataclass(frozen=True)
class Grounds:
    """By what values are judged: the settings as given, the training split, the focus by class name, and what the
    trainer cannot set and why; ``usual`` are the settings that the trainer has where none are stated, None where nobody
    knows them."""

    baseline: TrainSettings
    detector: DetectorSettings
    survey: Survey
    focus: Mapping[str, int]
    refusal: Callable[[str, Any], str | None] = lambda lever, value: None
    usual: TrainSettings | None = None

    @property
    def n_trained_units(self) -> int:
        """Units that start from trained weights, as far as that is known: of detray's own network the backbone's."""
        if self.usual is None:
            return len(UNITS)
        return 0 if self.detector.weights is None else len(BACKBONE)


class Lever(msgspec.Struct, frozen=True):
    """A setting, the values that are tried beside its own, none where it is left alone, and why."""

    name: str
    values: list[Any]
    because: str

    @property
    def sentence(self) -> str:
        what = f"searched ({', '.join(map(str, self.values))})" if self.values else "left alone"
        return f"{self.name}: {what} because {self.because}"


@dataclass(frozen=True)
class Auto:
    """The space, and what is said about it: each lever, and the second trial, None where there is no such."""

    space: Space
    levers: Sequence[Lever]
    arm: str | None = None


def read_remedies(data: Data, focus: Sequence[int]) -> list[Remedy]:
    """What the causes that hold of the focus classes ask of the training, the one that can regain most AP first."""
    columns = ["split", "category_id", "category_name", "rank", "cause", "d_ap", "remedy_config"]
    rows = data.read("diagnoses", columns=columns)
    rows = rows.filter(pc.and_(pc.equal(rows["split"], VAL), pc.is_valid(rows["remedy_config"])))
    found = []
    for row in sorted(rows.to_pylist(), key=lambda row: (-(row["d_ap"] or 0.0), row["rank"], row["category_id"])):
        asked = parse_yaml(row["remedy_config"], "diagnoses.remedy_config").get("tune", {}).get("space", {})
        if row["category_id"] in focus and asked:
            found.append(Remedy(row["category_name"], row["cause"], row["d_ap"], asked))
    return found


def auto_space(remedies: Sequence[Remedy], grounds: Grounds) -> Auto:
    """The union of what ``remedies`` ask for, as far as the data lets it do anything.

    Its first guess is the remedy that can regain most AP: each of its levers at the first value that changes something.

    Raises:
        UsageError: there is nothing to try.
    """
    default = [Remedy(name, "", None, DEFAULT) for name in grounds.focus]
    back = _departures(grounds)
    found = _levers([*(remedies or default), *back], grounds)
    if all(len(lever.options) < 2 for lever in found.values()):
        found = _levers([*remedies, *back, *default], grounds)
    levers = [Lever(name, [_shown(one) for one in one.options[1:]], one.because) for name, one in found.items()]
    values = {name: tuple(lever.options) for name, lever in found.items() if len(lever.options) > 1}
    if not values:
        told = "; ".join(lever.sentence for lever in levers)
        raise UsageError(f"tune.space auto finds nothing to try: {told}. Write tune.space out")
    space = Space(grounds.baseline, values, detector=grounds.detector)
    require_agreement(space)
    arm, guess = _arm(remedies, space, grounds)
    if arm is None:
        guess = space.origin | _strongest_repeat(space)
    usual = _first_steps_of(back, remedies, space, grounds)
    if {name: place for name, place in usual.items() if place}.items() <= guess.items():
        usual = space.origin  # the remedy does as much
    if arm is not None and usual != space.origin:
        arm += f"; the third has the defaults back: {in_words(space.changed(usual))}"
    guesses = tuple(list_without_repeats([one for one in (guess, usual) if one != space.origin]))
    asked = [{name: step} for remedy in remedies for name, step in _first_steps(remedy, remedies, space, grounds)]
    climb = tuple(list_without_repeats(asked))
    return Auto(Space(grounds.baseline, values, guesses, grounds.detector, climb=climb), levers, arm)


def _departures(grounds: Grounds) -> list[Remedy]:
    """Back to what is usual, of settings that are configured otherwise: whatever is weak, that may be why."""
    usual = grounds.usual
    if usual is None:
        return []
    stated = {name: get(usual, name) for name in LEVERS if get(usual, name) != get(grounds.baseline, name)}
    return [
        Remedy(
            class_name,
            f"it is configured otherwise than the default, {value}",
            None,
            {name: [value]},
            is_diagnosed=False,
        )
        for class_name in grounds.focus
        for name, value in stated.items()
        if name not in REPEATS
    ]


def _levers(remedies: Sequence[Remedy], grounds: Grounds) -> dict[str, "_Found"]:
    others = [name for remedy in remedies for name in remedy.levers]
    return {name: _lever(name, remedies, grounds) for name in dict.fromkeys([*LEVERS, *others])}


@dataclass
class _Found:
    """The values of a lever, its own first, and why no more."""

    options: list[Any]
    because: str = ""
    refused: list[str] = field(default_factory=list)


def _lever(name: str, remedies: Sequence[Remedy], grounds: Grounds) -> _Found:
    asking = [remedy for remedy in remedies if name in remedy.levers]
    found = _Found([Space(grounds.baseline, {}, detector=grounds.detector).value(name, {})])
    for remedy in asking:
        for option in remedy.levers[name]:
            value, reason = _taken(name, option, _classes_asking(name, asking), grounds)
            if reason is not None:
                found.refused.append(reason)
            else:
                found.options = list_without_repeats([*found.options, value])
    refused = " and ".join(dict.fromkeys(found.refused))
    if not asking:
        found.because = UNASKED
    elif len(found.options) == 1:
        found.because = refused or "it has the value that is asked for"
    else:
        causes = ", ".join(
            dict.fromkeys(remedy.name if remedy.is_diagnosed else remedy.cause for remedy in asking if remedy.cause)
        )
        found.because = (causes or "no diagnosis names a lever that can move here: a small default space") + (
            f"; not further: {refused}" if refused else ""
        )
    return found


def _classes_asking(name: str, asking: Sequence[Remedy]) -> list[str]:
    return list(dict.fromkeys(remedy.class_name for remedy in asking if name in remedy.levers))


def _taken(name: str, option: Any, classes: Sequence[str], grounds: Grounds) -> tuple[Any, str | None]:
    """An option as the setting takes it, or the reason why it would do nothing."""
    pictures, holding = grounds.survey.pictures, grounds.survey.holding
    if name == "oversample" and isinstance(option, int | float):
        most = max((holding.get(grounds.focus[one], 0) for one in classes), default=0)
        return _repeated(option, classes, most / max(pictures, 1), grounds)
    if name == "class_weights" and len(holding) < 2 and option != "none":
        return None, "there is one class"
    if name == "freeze_units":
        if option > len(UNITS):
            return None, f"the detector has {len(UNITS)} units"
        if option > max(grounds.n_trained_units, grounds.baseline.freeze_units):
            return None, f"{grounds.n_trained_units or 'none'} of its units start from trained weights"
    if name == "weight_decay" and option <= grounds.baseline.decay:
        return None, f"it is {grounds.baseline.decay:g}"
    try:
        value = option_value(grounds.baseline, name, option, classes)
        if name.startswith(DETECTOR):
            put(grounds.detector, name.removeprefix(DETECTOR), value)
        else:
            put(grounds.baseline, name, value)
    except (ValueError, msgspec.ValidationError) as error:
        return None, str(error)
    return value, _unsettable(name, value, grounds)


def _unsettable(name: str, value: Any, grounds: Grounds) -> str | None:
    reason = grounds.refusal(name, value)
    return None if reason is None else f"the trainer cannot set it: {reason}"


def _repeated(factor: float, classes: Sequence[str], share: float, grounds: Grounds) -> tuple[Any, str | None]:
    if factor <= 1:
        return grounds.baseline.oversample, None
    names = " and ".join(classes)
    if share > 1 - LEAST_OTHERS:
        return None, f"{share:.0%} of the training pictures hold {names}, so repeating them shifts nothing"
    if 1 + (factor - 1) * share > LONGEST:
        longer = 1 + (factor - 1) * share
        return None, f"at x{factor:g} an epoch is {longer:.1f} times as long: {share:.0%} of the pictures hold {names}"
    both = sorted(set(classes) & set(grounds.baseline.undersample))
    if both:
        return None, f"{both[0]} stands in train.undersample"
    value = option_value(grounds.baseline, "oversample", factor, classes)
    return value, _unsettable("oversample", value, grounds)


def _arm(remedies: Sequence[Remedy], space: Space, grounds: Grounds) -> tuple[str | None, Choice]:
    """The remedy that can regain most and changes anything, in words and as a point."""
    for remedy in remedies:
        point: Choice = dict(_first_steps(remedy, remedies, space, grounds))
        if point:
            gain = f"regains {remedy.d_ap:.3f} AP at most" if remedy.d_ap else "stands first"
            changed = ", ".join(f"{name} {_shown(value)}" for name, value in space.changed(point).items())
            return f"the second trial is the remedy that {gain}, {remedy.name}: {changed}", space.origin | point
    return None, space.origin


def _first_steps_of(asking: Sequence[Remedy], remedies: Sequence[Remedy], space: Space, grounds: Grounds) -> Choice:
    """The point at which each of some remedies is followed."""
    point: Choice = space.origin
    for remedy in asking:
        point = point | dict(_first_steps(remedy, [*remedies, *asking], space, grounds))
    return point


def _first_steps(
    remedy: Remedy, remedies: Sequence[Remedy], space: Space, grounds: Grounds
) -> Iterator[tuple[str, int]]:
    for name, options in remedy.levers.items():
        if name in space.values:
            asking = [one for one in remedies if name in one.levers]
            axis = space.values[name]
            taken = [_taken(name, option, _classes_asking(name, asking), grounds) for option in options]
            places = [axis.index(value) for value, reason in taken if reason is None]  # type: ignore[union-attr]
            step = next((place for place in places if place), None)
            if step is not None:
                yield name, step


def _strongest_repeat(space: Space) -> Choice:
    """Where nothing is diagnosed, what moved a rare class most when each lever was tried alone."""
    axis = space.values.get("oversample", ())
    return {"oversample": len(axis) - 1} if isinstance(axis, tuple) and axis else {}


def _shown(value: Any) -> Any:
    """A value in a sentence."""
    return ", ".join(f"{name} x{factor:g}" for name, factor in value.items()) if isinstance(value, dict) else value

"""The configuration section ``tune``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.keys import FLAG
from detray.settings import Section
from detray.tune.command.settings import CommandSettings
from detray.tune.dotted import DETECTOR, OWN, read

FIXED = ("seed", "epochs", "keep", "best_by", "focus", "patience")
"""Train settings that are the same in every trial: trials are compared epoch by epoch on one seed."""

FIXED_OF_DETECTOR = ("kind", "path", "io")
"""Detector settings that are: a trial trains its detector."""


MOST_NUMBERS = 1000
"""Of a range with a step."""


class GuardSettings(Section, frozen=True):
    """What no other class may lose."""

    max_drop: Annotated[float, Meta(ge=0, le=1, description="AP that another class may lose at most")] = 0.02


class Axis(Section, frozen=True):
    """The values of one setting: a choice of some, or a range."""

    choice: Annotated[list[Any] | None, Meta(description="the values")] = None
    low: Annotated[float | int | None, Meta(description="the least; whole where the setting is")] = None
    high: Annotated[float | int | None, Meta(description="the most")] = None
    log: Annotated[bool, Meta(description="drawn evenly by the logarithm")] = False
    step: Annotated[
        Annotated[float, Meta(gt=0)] | Annotated[int, Meta(gt=0)] | None, Meta(description="from one to the next")
    ] = None
    when: Annotated[
        dict[str, Any],
        Meta(description="settings, and the value or list of values that they must have, or this one does not vary"),
    ] = {}

    def __post_init__(self) -> None:
        ends = (self.low, self.high)
        if (self.choice is None) != (None not in ends) or (self.choice is not None and ends != (None, None)):
            raise ValueError("expected either choice, or low and high")
        if self.low is None or self.high is None:
            if self.log or self.step is not None:
                raise ValueError("log and step are of a range, with low and high")
        elif self.low >= self.high:
            raise ValueError(f"expected low below high, got {self.low} and {self.high}")
        elif self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("expected a log range above 0 and without step")


class TuneSettings(Section, frozen=True):
    """What is searched, for which classes, and how a win is proven."""

    trainer: Annotated[
        Literal["retinanet", "command"],
        Meta(description="who trains: detray its own network, or any program, as tune.command says"),
    ] = "retinanet"
    command: CommandSettings = CommandSettings()
    focus: Annotated[
        tuple[str, ...],
        Meta(description="class names to gain; empty: the diagnosed classes", extra={FLAG: "--classes"}),
    ] = ()
    guard: GuardSettings = GuardSettings()
    trials: Annotated[
        int, Meta(ge=2, le=10_000, description="trials of the search, the baseline included", extra={FLAG: "--trials"})
    ] = 16
    max_epochs: Annotated[
        Annotated[int, Meta(ge=2)] | None,
        Meta(description="epochs of all trials of the search together, after which it ends; null: any"),
    ] = None
    minutes: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            description="after which the search ends, at the end of an epoch; its proof follows; null: any",
            extra={FLAG: "--minutes"},
        ),
    ] = None
    gpu_hours: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="GPUs that trials hold times hours, of all together, after which the search ends; null: any"),
    ] = None
    search: Annotated[
        Literal["optuna", "random", "grid"],
        Meta(
            description="how the space is searched: optuna is TPE, whose first ten trials climb where the space follows"
            " from the diagnosis, and are drawn where it is written out; grid takes every listed point in its order"
        ),
    ] = "optuna"
    scheduler: Annotated[
        Literal["asha", "median", "none"],
        Meta(
            description="what stops weak trials early: asha keeps the best third at each rung, median those above the"
            " middle of the others; with --serial nothing does"
        ),
    ] = "asha"
    objective: Annotated[
        Literal["ap", "ap_time"],
        Meta(
            description="what the search is for: the focus classes' AP; or that against the time of inference, where"
            " tune.space varies the detector: optuna seeks both, and the trials that none beats in both are told"
        ),
    ] = "ap"
    max_ms: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            description="milliseconds of inference a picture above which no trial is a finalist, with objective"
            " ap_time; null: any"
        ),
    ] = None
    space: Annotated[
        Literal["auto"] | dict[str, list[Any] | Axis],
        Meta(
            description="auto: what the diagnosis of the focus classes asks for; or the values to try by setting:"
            " {focal_gamma: [1, 2, 3], learning_rate: {low: 1e-4, high: 1e-2, log: true},"
            " l2: {choice: [0, 1e-4], when: {optimizer: sgd}}, detector.input_height: [192, 320]}; a number for"
            " oversample repeats the images of the focus classes; config.NAME is a value of tune.command.config"
        ),
    ] = "auto"
    finalists: Annotated[int, Meta(ge=1, le=10, description="best trials that are proven against the baseline")] = 1
    proof_split: Annotated[
        str | None,
        Meta(
            description="what the proof is judged on, and neither search nor early stopping sees; null: test where"
            " there is one, else half of val, near-duplicates held together; val: what the search saw"
        ),
    ] = None
    proof_seeds: Annotated[
        int, Meta(ge=0, le=100, description="fresh seeds of the proof; 0: none", extra={FLAG: "--proof-seeds"})
    ] = 4
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="of the search")] = 0

    def __post_init__(self) -> None:
        if self.max_ms is not None and self.objective == "ap":
            raise ValueError("max_ms is stated, and inference is timed with objective ap_time alone")
        if self.objective == "ap_time" and self.trainer == "command":
            raise ValueError("objective ap_time times detray's own networks, and trainer is command; set it to ap")
        known: list[str] = []
        space = self.space if isinstance(self.space, dict) else {}
        for name, axis in space.items():
            _require_known(name)
            for value in axis if isinstance(axis, list) else axis.choice or ():
                space_value(name, value, ("a class",))
            if isinstance(axis, Axis):
                _require_numbers(name, axis)
                _require_conditions(name, axis, known, space)
            known.append(name)


def _require_numbers(name: str, axis: Axis) -> None:
    """Every number of a range that has a step is one that the setting takes; of others the ends."""
    if axis.low is None or axis.high is None:
        return
    low, high = (space_value(name, end, ()) for end in (axis.low, axis.high))
    is_whole = isinstance(low, int) and not isinstance(low, bool)
    if not (is_whole or isinstance(low, float)):
        raise ValueError(f"space: {name} has no range: it is no number")
    if is_whole and axis.step is not None and axis.step != int(axis.step):
        raise ValueError(f"space: {name}: expected a whole step, got {axis.step}")
    if axis.step is None and not is_whole:
        if name.startswith(DETECTOR):
            raise ValueError(f"space: {name}: expected a step, so that the pictures of each input are prepared once")
        return
    step = axis.step or 1
    count = int((high - low) / step + 1e-9) + 1
    if count > MOST_NUMBERS:
        raise ValueError(f"space: {name} has {count} numbers; {MOST_NUMBERS} are checked at most: give a larger step")
    for number in range(count):
        value = low + step * number
        space_value(name, int(value) if is_whole else value, ())


def _require_conditions(name: str, axis: Axis, before: list[str], space: Mapping[str, Any]) -> None:
    for other, allowed in axis.when.items():
        if other in space and other not in before:
            raise ValueError(f"space: {name} waits for {other}, which must stand before it")
        _require_setting(other)
        for value in allowed if isinstance(allowed, list) else [allowed]:
            space_value(other, value, ("a class",))


def _require_setting(name: str) -> None:
    if name.startswith(OWN):
        return
    owner: type[Section] = DetectorSettings if name.startswith(DETECTOR) else TrainSettings
    if name.removeprefix(DETECTOR).split(".")[0] not in owner.__struct_fields__:
        raise ValueError(f"space: there is no setting '{name}' to wait for")


def _require_known(name: str) -> None:
    if name.startswith(OWN):
        return
    owner: type[Section] = DetectorSettings if name.startswith(DETECTOR) else TrainSettings
    fixed = FIXED_OF_DETECTOR if owner is DetectorSettings else FIXED
    first = name.removeprefix(DETECTOR).split(".")[0]
    if first in owner.__struct_fields__ and first not in fixed:
        return
    known = [field for field in TrainSettings.__struct_fields__ if field not in FIXED]
    known += [DETECTOR + field for field in DetectorSettings.__struct_fields__ if field not in FIXED_OF_DETECTOR]
    raise ValueError(f"space: '{name}' is no setting that a trial may change; these are: {', '.join(known)}")


def space_value(name: str, value: object, focus: tuple[str, ...]) -> Any:
    """``value`` as the setting ``name`` takes it.

    A number for ``oversample`` is the repeat factor of every class of ``focus``.

    Raises:
        ValueError: it is not in the setting's range.
    """
    if name.startswith(OWN):
        return value
    if name == "oversample" and isinstance(value, int | float):
        value = dict.fromkeys(focus, value)
    try:
        return read(name, value)
    except ValueError as error:
        raise ValueError(f"space: {error}") from None

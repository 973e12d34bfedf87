"""The configuration section ``tune``."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.settings import Section
from detray.tune.dotted import DETECTOR, read

FIXED = ("seed", "epochs", "keep", "best_by", "focus", "patience")
"""Train settings that are the same in every trial: trials are compared epoch by epoch on one seed."""

FIXED_OF_DETECTOR = ("kind", "path", "io")
"""Detector settings that are: a trial trains its detector."""


class GuardSettings(Section, frozen=True):
    """What no other class may lose."""

    max_drop: Annotated[float, Meta(ge=0, le=1, description="AP that another class may lose at most")] = 0.02


class TuneSettings(Section, frozen=True):
    """What is searched, for which classes, and how a win is proven."""

    focus: Annotated[tuple[str, ...], Meta(description="class names to gain; empty: the diagnosed classes")] = ()
    guard: GuardSettings = GuardSettings()
    trials: Annotated[int, Meta(ge=2, le=10_000, description="trials of the search, the baseline included")] = 16
    search: Annotated[Literal["optuna", "random"], Meta(description="how the space is searched")] = "optuna"
    scheduler: Annotated[
        Literal["asha", "none"], Meta(description="what stops weak trials early; with --serial nothing does")
    ] = "asha"
    space: Annotated[
        Literal["auto"] | dict[str, list[Any]],
        Meta(
            description="auto, or the values to try by setting: {focal_gamma: [1, 2, 3], augmentation.flip.p: [0, 0.5],"
            " detector.input_height: [192, 320]}; a number for oversample repeats the images of the focus classes"
        ),
    ] = "auto"
    finalists: Annotated[int, Meta(ge=1, le=10, description="best trials that are proven against the baseline")] = 1
    proof_seeds: Annotated[int, Meta(ge=0, le=100, description="fresh seeds of the proof; 0: none")] = 4
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="of the search")] = 0

    def __post_init__(self) -> None:
        if isinstance(self.space, dict):
            for field, values in self.space.items():
                _require_known(field)
                for value in values:
                    space_value(field, value, ("a class",))


def _require_known(name: str) -> None:
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
    if name == "oversample" and isinstance(value, int | float):
        value = dict.fromkeys(focus, value)
    try:
        return read(name, value)
    except ValueError as error:
        raise ValueError(f"space: {error}") from None

"""The configuration section ``tune``."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from detray.detectors.settings import TrainSettings
from detray.refusals import find_refusal
from detray.settings import Section

FIXED = ("seed", "epochs")
"""Train settings that are the same in every trial: trials are compared epoch by epoch on one seed."""


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
            description="auto, or the values to try by train setting: {focal_gamma: [1, 2, 3]};"
            " a number for oversample repeats the images of the focus classes"
        ),
    ] = "auto"
    finalists: Annotated[int, Meta(ge=1, le=10, description="best trials that are proven against the baseline")] = 1
    proof_seeds: Annotated[int, Meta(ge=0, le=100, description="fresh seeds of the proof; 0: none")] = 4
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="of the search")] = 0

    def __post_init__(self) -> None:
        if isinstance(self.space, dict):
            for field, values in self.space.items():
                if field not in TrainSettings.__struct_fields__ or field in FIXED:
                    known = ", ".join(name for name in TrainSettings.__struct_fields__ if name not in FIXED)
                    raise ValueError(
                        f"space: '{field}' is no train setting that a trial may change; these are: {known}"
                    )
                for value in values:
                    train_value(field, value, ("a class",))


def train_value(field: str, value: object, focus: tuple[str, ...]) -> Any:
    """``value`` as the train setting ``field`` takes it.

    A number for ``oversample`` is the repeat factor of every class of ``focus``.

    Raises:
        ValueError: it is not in the field's range.
    """
    if field == "oversample" and isinstance(value, int | float):
        value = dict.fromkeys(focus, value)
    if refusal := find_refusal({field: value}, TrainSettings):
        raise ValueError(f"space: {field}: {refusal.reason}")
    return getattr(msgspec.convert({field: value}, TrainSettings), field)

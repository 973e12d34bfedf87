"""The configuration section ``tune``."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from detray.settings import Section


class GuardSettings(Section, frozen=True):
    """What no other class may lose."""

    max_drop: Annotated[float, Meta(ge=0, le=1, description="AP that another class may lose at most")] = 0.02


class TuneSettings(Section, frozen=True):
    """What is searched, for which classes, and how a win is proven."""

    focus: Annotated[tuple[str, ...], Meta(description="class names to gain; empty: the diagnosed classes")] = ()
    guard: GuardSettings = GuardSettings()
    trials: Annotated[int, Meta(ge=2, le=10_000, description="trials of the search, the baseline included")] = 16
    search: Annotated[Literal["optuna", "random"], Meta(description="how the space is searched")] = "optuna"
    scheduler: Annotated[Literal["asha", "none"], Meta(description="what stops weak trials early")] = "asha"
    space: Annotated[
        Literal["auto"] | dict[str, list[Any]],
        Meta(description="auto, or the values to try by train setting: {focal_gamma: [1, 2, 3]}"),
    ] = "auto"
    finalists: Annotated[int, Meta(ge=1, le=10, description="best trials that are proven against the baseline")] = 1
    proof_seeds: Annotated[int, Meta(ge=0, le=100, description="fresh seeds of the proof; 0: none")] = 4
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="of the search")] = 0

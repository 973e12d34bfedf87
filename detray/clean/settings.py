"""The configuration section ``clean``."""

from typing import Annotated, Literal

from msgspec import Meta

from detray.keys import FLAG
from detray.settings import Section

Action = Literal["drop", "clip", "relabel", "move", "add", "renumber"]


class CleanSettings(Section, frozen=True):
    """Which corrections are written."""

    actions: Annotated[
        tuple[Action, ...],
        Meta(
            description="kinds of edits that are made: drop, clip, relabel, move, add, renumber (ids that collide)",
            extra={FLAG: "--actions"},
        ),
    ] = ("drop", "clip", "relabel", "move")
    format: Annotated[
        Literal["same", "coco"],
        Meta(description="how the data set is written: in its own format with nothing else changed, or as COCO files"),
    ] = "same"
    decisions: Annotated[
        str | tuple[str, ...] | None,
        Meta(
            description="files that the review page exported, or that a tool saved which detray review wrote for:"
            " what they accept is done and what they reject is not, whatever the other keys say",
            extra={FLAG: "--decisions"},
        ),
    ] = None
    min_score: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="label errors below it are left alone; from 0.5 on likelier wrong than right. Boxes are moved"
            " from 0.9 on",
            extra={FLAG: "--min-score"},
        ),
    ] = 0.5
    folds: Annotated[
        int,
        Meta(
            ge=0,
            le=20,
            description="label errors of train and val are told by so many detectors, each trained (train) on the other"
            " folds of their pictures, so that none judges what it has seen; 0: by the detector that diagnose judges",
            extra={FLAG: "--folds"},
        ),
    ] = 0

    @property
    def decision_files(self) -> tuple[str, ...]:
        """``decisions`` as a list."""
        return (self.decisions,) if isinstance(self.decisions, str) else self.decisions or ()

    def __post_init__(self) -> None:
        if self.folds == 1:
            raise ValueError("one of folds leaves nothing to learn from: 2 or more, or 0 for none")

"""The configuration section ``evaluate``."""

from typing import Annotated, Literal

from msgspec import Meta

from detray.settings import Section


class EvaluateSettings(Section, frozen=True):
    """How detections are scored."""

    iou_type: Annotated[Literal["bbox", "segm"], Meta(description="boxes, or masks")] = "bbox"
    bootstrap: Annotated[int, Meta(ge=0, le=10_000, description="resamples for intervals; 0: none")] = 200
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="of the bootstrap")] = 0

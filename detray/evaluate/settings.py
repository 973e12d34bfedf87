"""The configuration section ``evaluate``."""

from typing import Annotated, Literal

from msgspec import Meta

from detray.settings import Section


class EvaluateSettings(Section, frozen=True):
    """How detections are scored."""

    iou_type: Annotated[Literal["bbox", "segm"], Meta(description="boxes, or masks")] = "bbox"
    max_detections: Annotated[int, Meta(ge=1, le=100_000, description="detections kept an image and class")] = 100
    bootstrap: Annotated[int, Meta(ge=0, le=10_000, description="resamples for intervals; 0: none")] = 200
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="of the bootstrap")] = 0
    confusion_score: Annotated[
        float, Meta(ge=0, le=1, description="detections below it are left out of the confusion table")
    ] = 0.25
    slices: Annotated[
        tuple[str, ...],
        Meta(
            description="size, aspect, or columns or attributes of images or, else, of annotations (annotations.NAME"
            " where both have it). Each value is a slice with its own AP; numbers are cut at powers of two, but for up"
            " to 12 different whole ones. A column of annotations makes 50 slices at most"
        ),
    ] = ("size", "aspect")
    against: Annotated[
        str | None,
        Meta(description="another model's detections to compare with: a file, or the folder of another run"),
    ] = None
    strict_pycocotools: Annotated[
        bool, Meta(description="count a match with annotation id 0 as a false positive, as pycocotools does")
    ] = False

"""The configuration section ``diagnose``."""

from typing import Annotated

from msgspec import Meta

from detray.keys import FLAG
from detray.settings import Section


class DiagnoseSettings(Section, frozen=True):
    """Which classes are weak: AP50 or AP below these, or no AP at all, or named."""

    weak_below: Annotated[
        float, Meta(ge=0, le=1, description="a class with AP50 below it is weak", extra={FLAG: "--weak-below"})
    ] = 0.5
    weak_ap_below: Annotated[float, Meta(ge=0, le=1, description="a class with AP below it is weak")] = 0.25
    classes: Annotated[
        tuple[str, ...],
        Meta(description="names of classes that are diagnosed whatever their AP", extra={FLAG: "--classes"}),
    ] = ()
    train_detections: Annotated[
        str | None, Meta(description="COCO results JSON of the model's detections on the training split, or null")
    ] = None
    base_detections: Annotated[
        str | None,
        Meta(description="COCO results JSON of the model it was fine-tuned from, on the same split, or null"),
    ] = None
    confirm_images: Annotated[
        int, Meta(ge=1, le=100_000, description="pictures that a counter-test runs the detector on again, at most")
    ] = 64
    confirm: Annotated[
        bool,
        Meta(description="try the remedy of each class's first causes, and rank them by the AP that comes of it"),
    ] = False

"""What a model takes and gives: the section ``detector.io``, and what was found of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from detray.settings import Section

BoxOrder = Literal["yxyx", "xyxy", "xywh", "cxcywh"]
BoxUnit = Literal["share", "pixel", "input_pixel"]
ClassBase = Literal[0, 1]
Resize = Literal["none", "stretch", "letterbox", "crop"]
InputRange = Literal["0..255", "0..1", "-1..1", "caffe", "vgg", "torch"]
Role = Literal["boxes", "scores", "classes", "count", "logits", "info"]
"""``info``: official.vision's image_info, how it has resized a picture."""
InputKind = Literal["uint8", "int8", "int32", "float32", "float16", "picture", "example"]
"""Numbers, or strings: an encoded picture, or a tf.train.Example that holds one."""


class IoSettings(Section, frozen=True):
    """What a model's own signature does not tell; null: as the model says."""

    signature: Annotated[str | None, Meta(description="name of the signature that detects")] = None
    outputs: Annotated[
        dict[Role, str], Meta(description="which output is what: {boxes, scores, classes, count or logits: its name}")
    ] = {}
    box_order: Annotated[
        BoxOrder | None, Meta(description="of a box's four numbers: corners, corner and size, or centre and size")
    ] = None
    box_unit: Annotated[
        BoxUnit | None,
        Meta(description="of boxes: shares of the input, pixels of the picture, or pixels of the resized picture"),
    ] = None
    class_base: Annotated[ClassBase | None, Meta(description="the id of the model's first class")] = None
    resize: Annotated[
        Resize | None,
        Meta(
            description="how a picture comes to the input size: none: the model does it; stretch; letterbox: aspect"
            " kept, grey around it; crop: aspect kept, what is over is cut off"
        ),
    ] = None
    input_range: Annotated[
        InputRange | None,
        Meta(
            description="of pixel values; caffe: BGR less the means of ImageNet; vgg: the same in RGB, as the Object"
            " Detection API's ResNets take it; torch: 0..1 less ImageNet's means, over its deviations"
        ),
    ] = None
    batch: Annotated[
        Annotated[int, Meta(ge=1, le=4096)] | None,
        Meta(description="pictures that the model takes at once, no fewer and no more"),
    ] = None
    anchors: Annotated[
        str | None,
        Meta(
            description="file of the anchors of a model that gives raw boxes: .npy or text, [a, 4] centre y, centre x,"
            " height, width as shares of the input"
        ),
    ] = None


@dataclass(frozen=True)
class Layout:
    """What a model takes and gives, each field settled.

    ``input``: what it takes; ``batch``: pictures at once, None: any number; ``height`` and ``width`` of the input,
    px, None where pictures go in as they are; ``input_range`` is own where the model states one without a name, and
    means nothing where strings go in; ``outputs``: the name of the output by role; ``suppresses``: overlapping boxes
    have been suppressed inside.
    """

    family: str
    signature: str
    input: InputKind
    batch: int | None
    height: int | None
    width: int | None
    resize: Resize
    input_range: InputRange | Literal["own"]
    box_order: BoxOrder
    box_unit: BoxUnit
    class_base: ClassBase
    suppresses: bool
    outputs: Mapping[Role, str] = field(default_factory=dict)

    @property
    def is_text(self) -> bool:
        """Whether strings go in."""
        return self.input in ("picture", "example")

    def line(self) -> str:
        """All of it as one line for a person."""
        size = "" if self.resize == "none" else f" to {self.width} x {self.height} px"
        batch = "any batch" if self.batch is None else f"batch {self.batch}"
        values = {"picture": "encoded pictures", "example": "tf.train.Example"}.get(
            self.input, f"{self.input} {self.input_range}"
        )
        return (
            f"{self.family}: input {values}, {batch}, {_RESIZE[self.resize]}{size};"
            f" boxes {_ORDER[self.box_order]} {_UNIT[self.box_unit]}; classes from {self.class_base};"
            f" NMS {'inside' if self.suppresses else 'by detray'}"
        )


_RESIZE = {"none": "as they are", "stretch": "stretched", "letterbox": "letterboxed", "crop": "cropped"}
_ORDER = {
    "yxyx": "ymin, xmin, ymax, xmax",
    "xyxy": "xmin, ymin, xmax, ymax",
    "xywh": "xmin, ymin, width, height",
    "cxcywh": "centre x, centre y, width, height",
}
_UNIT = {"share": "as shares", "pixel": "in pixels of the picture", "input_pixel": "in pixels of the input"}

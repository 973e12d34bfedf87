"""The configuration section ``evaluate``."""

from typing import Annotated, Literal

from msgspec import Meta

from detray.boxes import AREA_LIMITS
from detray.keys import FLAG
from detray.settings import Section

Threshold = Annotated[float, Meta(gt=0, le=1)]
Area = Annotated[float, Meta(ge=0)]


class AreaRanges(Section, frozen=True):
    """The least and the greatest area of objects of each size, both ends inclusive."""

    small: Annotated[tuple[Area, Area], Meta(description="px²")] = AREA_LIMITS["small"]
    medium: Annotated[tuple[Area, Area], Meta(description="px²")] = AREA_LIMITS["medium"]
    large: Annotated[tuple[Area, Area], Meta(description="px²")] = AREA_LIMITS["large"]

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: expected the least and then the greatest area, got {low:g} and {high:g}")


class EvaluateSettings(Section, frozen=True):
    """How detections are scored."""

    protocol: Annotated[
        Literal["coco", "lvis", "open_images", "pascal"],
        Meta(
            description="whose rules: what matches, what is ignored, and what AP is (docs/evaluation.md)",
            extra={FLAG: "--protocol"},
        ),
    ] = "coco"
    iou_type: Annotated[Literal["bbox", "segm"], Meta(description="boxes, or masks", extra={FLAG: "--iou-type"})] = (
        "bbox"
    )
    iou_thresholds: Annotated[
        Annotated[tuple[Threshold, ...], Meta(min_length=1, max_length=14)] | None,
        Meta(
            description="IoU thresholds that AP is the mean over, where the protocol is coco; null: .5 to .95 by .05",
        ),
    ] = None
    area_ranges: AreaRanges = AreaRanges()
    max_detections: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(
            description="detections kept an image and class (lvis: an image); null: coco 100, lvis 300, others 10000",
        ),
    ] = None
    group_of_weight: Annotated[
        Literal[0, 1],
        Meta(
            description="open_images: 1, as in the challenge: a group is a box to be found once; 0, as in V2:"
            " it only takes detections in"
        ),
    ] = 1
    hierarchy: Annotated[
        str | None,
        Meta(description="open_images: JSON file of the class hierarchy; a box counts for its class's ancestors too"),
    ] = None
    expand_detections: Annotated[
        bool, Meta(description="open_images: detections count for the ancestors of their class too, as boxes do")
    ] = False
    image_labels: Annotated[
        str | None,
        Meta(
            description="open_images: CSV of verified image labels (ImageID, LabelName, Confidence); detections of"
            " classes that an image has neither label nor box of take no part"
        ),
    ] = None
    bootstrap: Annotated[
        int, Meta(ge=0, le=10_000, description="resamples for intervals; 0: none", extra={FLAG: "--bootstrap"})
    ] = 200
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
    expect: Annotated[
        dict[str, float],
        Meta(
            description="figures of another tool, by name (AP50, mAP, AP/CLASS ...): which difference of rules explains"
            " each is said"
        ),
    ] = {}
    expect_file: Annotated[
        str | None,
        Meta(
            description="a file of such figures: TensorBoard's events, or what pycocotools or TensorFlow's evaluator"
            " printed"
        ),
    ] = None
    strict_pycocotools: Annotated[
        bool,
        Meta(
            description="take boxes as pycocotools does, by their ids: of annotations that share one the last counts"
            " for all, and a match with id 0 is a false positive"
        ),
    ] = False

    def __post_init__(self) -> None:
        fixed = {
            "iou_thresholds": self.iou_thresholds is not None,
            "area_ranges": self.area_ranges != AreaRanges(),
            "strict_pycocotools": self.strict_pycocotools,
        }
        of_open_images = {key: getattr(self, key) is not None for key in ("hierarchy", "image_labels")}
        for key, is_set in fixed.items():
            if is_set and self.protocol != "coco":
                raise ValueError(f"the protocol {self.protocol} fixes {key}: leave it out, or take coco")
        for key, is_set in of_open_images.items():
            if is_set and self.protocol != "open_images":
                raise ValueError(f"{key} is of the protocol open_images, and the protocol is {self.protocol}")
        if self.iou_type == "segm" and self.protocol in ("open_images", "pascal"):
            raise ValueError(f"the protocol {self.protocol} is about boxes here; for masks take coco or lvis")

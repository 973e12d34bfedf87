"""The configuration sections ``detector``, ``train`` and ``predict``."""

from typing import Annotated, Literal

from msgspec import Meta

from detray.detectors.augmentation.settings import AugmentationSettings, Policy
from detray.detectors.io import IoSettings
from detray.settings import Section


class DetectorSettings(Section, frozen=True):
    """The detector: our own RetinaNet, or predictions that another tool made."""

    kind: Annotated[
        Literal["retinanet", "tflite", "predictions"],
        Meta(description="a network that detray trains, a TFLite file, or a file of detections to read"),
    ] = "retinanet"
    path: Annotated[
        str | None,
        Meta(
            description="the model's file or folder (null: a retinanet that is trained), or predictions: COCO results,"
            " a folder of YOLO predictions, or JSON with detection_boxes"
        ),
    ] = None
    backbone: Annotated[Literal["tiny"], Meta(description="network below the feature pyramid")] = "tiny"
    weights: Annotated[
        str | None, Meta(description="model.keras whose backbone the training starts from; null: from scratch")
    ] = None
    input_height: Annotated[int, Meta(ge=32, le=4096, multiple_of=32, description="pixels, a multiple of 32")] = 192
    input_width: Annotated[int, Meta(ge=32, le=4096, multiple_of=32, description="pixels, a multiple of 32")] = 256
    io: IoSettings = IoSettings()

    @property
    def is_precomputed(self) -> bool:
        """Whether detections come from the file ``path``, made by another tool, and no detector is run."""
        return self.kind == "predictions"


class TrainSettings(Section, frozen=True):
    """How the RetinaNet is trained."""

    epochs: Annotated[int, Meta(ge=1, le=10_000, description="passes over the training split")] = 20
    batch_size: Annotated[int, Meta(ge=1, le=4096, description="images a step")] = 8
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="of weights, order and augmentation")] = 0
    optimizer: Annotated[Literal["adamw", "sgd"], Meta(description="adamw or sgd with momentum .9")] = "adamw"
    learning_rate: Annotated[float, Meta(gt=0, le=10, description="peak, after the warm-up")] = 3.0e-3
    weight_decay: Annotated[float, Meta(ge=0, le=1, description="decoupled")] = 1.0e-4
    schedule: Annotated[Literal["cosine", "constant", "step"], Meta(description="of the learning rate")] = "cosine"
    focal_alpha: Annotated[float, Meta(ge=0, le=1, description="weight of positives in the focal loss")] = 0.25
    focal_gamma: Annotated[float, Meta(ge=0, le=10, description="focusing of the focal loss")] = 2.0
    class_weights: Annotated[
        Literal["none", "inverse_frequency", "effective_number"] | dict[str, float],
        Meta(description="none, inverse_frequency, effective_number, or a weight by class name"),
    ] = "none"
    label_smoothing: Annotated[float, Meta(ge=0, lt=1, description="of the class targets")] = 0.0
    box_loss_weight: Annotated[float, Meta(ge=0, le=100, description="of the Huber loss against the focal loss")] = 1.0
    freeze_units: Annotated[
        int, Meta(ge=0, le=32, description="units frozen from the stem upward: backbone levels, FPN, head towers")
    ] = 0
    freeze_norm: Annotated[bool, Meta(description="freeze normalisation layers too")] = False
    oversample: Annotated[dict[str, float], Meta(description="repeat factor by class name, 1 to 100")] = {}
    augmentation: Annotated[
        Policy | AugmentationSettings,
        Meta(
            description="none; default: flips and colour; strong: more of both, and place and size; or each change by"
            " its strength and probability: {flip: {p: 0.5}, rotate: {degrees: 10}}"
        ),
    ] = "default"


class NmsSettings(Section, frozen=True):
    """Which of several detections of one object stays."""

    iou: Annotated[
        float, Meta(ge=0, le=1, description="of two detections that overlap by more than this IoU the weaker goes")
    ] = 0.5
    mode: Annotated[
        Literal["class", "across", "none"],
        Meta(
            description="class: classes never suppress each other; across: they do; none: nothing is suppressed. A"
            " model that suppresses by itself does so too"
        ),
    ] = "class"


class PredictSettings(Section, frozen=True):
    """How detections are made."""

    splits: Annotated[tuple[str, ...], Meta(description="splits that are predicted and evaluated")] = ("val",)
    batch_size: Annotated[int, Meta(ge=1, le=4096, description="images a step")] = 16
    score_threshold: Annotated[float, Meta(ge=0, le=1, description="detections below it are not kept")] = 0.01
    max_detections: Annotated[int, Meta(ge=1, le=10_000, description="detections kept an image")] = 100
    nms: Annotated[NmsSettings, Meta(description="non-maximum suppression")] = NmsSettings()
    max_unreadable: Annotated[
        float,
        Meta(ge=0, le=1, description="share of the pictures that may be unreadable, in training too; more is an error"),
    ] = 0.01
    category_map: Annotated[
        dict[int, int] | str | None,
        Meta(
            description="what the detector's class ids mean: {its id: the data set's id}, or a file with such a mapping"
            " or a label map; ids that it does not name stay; null: ids mean what they say"
        ),
    ] = None

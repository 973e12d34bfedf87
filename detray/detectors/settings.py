"""The configuration sections ``detector``, ``train`` and ``predict``."""

from typing import Annotated, Literal

from msgspec import Meta

from detray.detectors.augmentation.settings import AugmentationSettings, Policy
from detray.detectors.io import IoSettings
from detray.keys import FLAG
from detray.settings import Section

LEVELS = range(3, 8)
"""Pyramid levels that there can be; a cell of level k stands for 2^k pixels of the input."""
MIN_TOP = 5
MIN_CELLS = 4
"""Along a side, of a level above `MIN_TOP` that nobody asked for."""

BackboneName = Literal[
    "tiny",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "resnet50",
    "efficientnet_v2_b0",
    "efficientnet_v2_s",
    "convnext_tiny",
]

MOST_ANCHORS = 32
"""Sizes, aspects or shapes of a level."""

Side = Annotated[float, Meta(gt=0, le=1e5)]


class AnchorSettings(Section, frozen=True):
    """Anchors that are written out: sizes with aspects, or shapes. As many at each level of the pyramid."""

    sizes: Annotated[
        tuple[Annotated[tuple[Side, ...], Meta(max_length=MOST_ANCHORS)], ...],
        Meta(description="square roots of the areas, px of the input: a list a level, or one that doubles by level"),
    ] = ()
    aspects: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=100)], ...],
        Meta(min_length=1, max_length=MOST_ANCHORS, description="width over height; each size comes with each"),
    ] = (1.0,)
    shapes: Annotated[
        tuple[Annotated[tuple[tuple[Side, Side], ...], Meta(max_length=MOST_ANCHORS)], ...],
        Meta(description="widths and heights, px of the input, a list a level; in place of sizes and aspects"),
    ] = ()

    def __post_init__(self) -> None:
        lists = self.sizes or self.shapes
        if bool(self.sizes) == bool(self.shapes):
            raise ValueError("expected either sizes or shapes")
        if len({len(one) for one in lists}) > 1 or not lists[0]:
            raise ValueError("expected as many anchors at each level")


class DetectorSettings(Section, frozen=True):
    """The detector: our own RetinaNet, or predictions that another tool made."""

    kind: Annotated[
        Literal["retinanet", "saved_model", "tflite", "keras", "predictions"],
        Meta(
            description="a network that detray trains, a SavedModel's folder, a TFLite or Keras file, or a file of"
            " detections to read"
        ),
    ] = "retinanet"
    path: Annotated[
        str | None,
        Meta(
            description="the model's file or folder (null: a retinanet that is trained), or predictions: COCO results,"
            " a folder of YOLO predictions, or JSON with detection_boxes"
        ),
    ] = None
    backbone: Annotated[
        BackboneName,
        Meta(
            description="network below the feature pyramid: tiny, for few images and CPUs, or one of Keras's",
            extra={FLAG: "--backbone"},
        ),
    ] = "tiny"
    weights: Annotated[
        str | None,
        Meta(
            description="what the backbone starts from: weights of Keras (.h5, .weights.h5, .keras) or a model folder;"
            " null: at random",
            extra={FLAG: "--weights"},
        ),
    ] = None
    input_height: Annotated[
        int,
        Meta(ge=32, le=4096, multiple_of=32, description="pixels, a multiple of 32", extra={FLAG: "--input-height"}),
    ] = 192
    input_width: Annotated[
        int, Meta(ge=32, le=4096, multiple_of=32, description="pixels, a multiple of 32", extra={FLAG: "--input-width"})
    ] = 256
    top_level: Annotated[
        Literal[5, 6, 7] | None,
        Meta(description="highest level of the pyramid, from 3; null: the last with four cells along each side, or 5"),
    ] = None
    anchors: Annotated[
        Literal["default", "auto"] | AnchorSettings,
        Meta(
            description="default: squares of 2, 2.5 and 3.2 cells; auto: fitted to the training split's boxes; or"
            " written out"
        ),
    ] = "default"
    io: IoSettings = IoSettings()

    def __post_init__(self) -> None:
        if min(self.input_height, self.input_width) < 1 << self.levels[-1] and self.levels[-1] > MIN_TOP:
            raise ValueError(
                f"expected a top_level whose cells of {1 << self.levels[-1]} px fit into the input, of which one"
                f" side has {min(self.input_height, self.input_width)} px"
            )
        if isinstance(self.anchors, AnchorSettings):
            lists = len(self.anchors.sizes or self.anchors.shapes)
            if lists != len(self.levels) and not (self.anchors.sizes and lists == 1):
                raise ValueError(
                    f"expected anchors for the {len(self.levels)} levels {self.levels[0]} to {self.levels[-1]}, got"
                    f" {lists} lists"
                )

    @property
    def levels(self) -> range:
        """Levels of the feature pyramid."""
        cells = min(self.input_height, self.input_width) // MIN_CELLS
        return range(LEVELS[0], 1 + (self.top_level or min(max(cells.bit_length() - 1, MIN_TOP), LEVELS[-1])))

    @property
    def is_precomputed(self) -> bool:
        """Whether detections come from the file ``path``, made by another tool, and no detector is run."""
        return self.kind == "predictions"


DEFAULT_DECAY = 1.0e-4


class TrainSettings(Section, frozen=True):
    """How the RetinaNet is trained."""

    epochs: Annotated[
        int, Meta(ge=1, le=10_000, description="passes over the training split, at most", extra={FLAG: "--epochs"})
    ] = 20
    batch_size: Annotated[int, Meta(ge=1, le=4096, description="images a step", extra={FLAG: "--batch-size"})] = 8
    accumulate: Annotated[
        int, Meta(ge=1, le=1024, description="steps whose gradients the optimizer takes together, their mean")
    ] = 1
    seed: Annotated[
        int, Meta(ge=0, lt=2**31, description="of weights, order and augmentation", extra={FLAG: "--seed"})
    ] = 0
    precision: Annotated[
        Literal["float32", "mixed_bfloat16", "mixed_float16"],
        Meta(description="of computing; weights are float32 always. mixed_float16 needs a GPU"),
    ] = "float32"
    optimizer: Annotated[
        Literal["adamw", "adam", "sgd", "rmsprop"], Meta(description="sgd and rmsprop with momentum .9")
    ] = "adamw"
    learning_rate: Annotated[
        float, Meta(gt=0, le=10, description="peak, after the warm-up", extra={FLAG: "--learning-rate"})
    ] = 3.0e-3
    weight_decay: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="decoupled, not of norms and biases; null: 1e-4, but for adam none"),
    ] = None
    l2: Annotated[
        float, Meta(ge=0, le=1, description="times the squared weights, not norms and biases, in the loss")
    ] = 0.0
    dropout: Annotated[float, Meta(ge=0, le=0.9, description="share of the head towers' outputs left out")] = 0.0
    clip_norm: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="global norm of the gradients at most; null: any")
    ] = 10.0
    schedule: Annotated[
        Literal["cosine", "constant", "step", "cyclical", "one_cycle"],
        Meta(
            description="of the learning rate: cosine; constant; step, a tenth after 60% and 85% of the training;"
            " cyclical, triangles from a tenth to the peak and back; one_cycle, up from 1/25 and down to nearly 0"
        ),
    ] = "cosine"
    cycles: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None, Meta(description="triangles of cyclical; null: 4")
    ] = None
    warmup_steps: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)] | None,
        Meta(description="steps up to the peak; null: 50, at most a fifth of all"),
    ] = None
    warmup_epochs: Annotated[Annotated[float, Meta(ge=0, le=1000)] | None, Meta(description="the same in epochs")] = (
        None
    )
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
    freeze_norm: Annotated[
        bool | None,
        Meta(
            description="freeze the backbone's normalisation, batch statistics too; null: where it has such statistics"
            " and starts from weights"
        ),
    ] = None
    backbone_rate: Annotated[
        Annotated[float, Meta(gt=0, le=10)] | None,
        Meta(
            description="the backbone's learning rate as a multiple of the others'; null: a tenth where one of Keras's"
            " starts from weights, else 1"
        ),
    ] = None
    oversample: Annotated[dict[str, float], Meta(description="repeat factor by class name, 1 to 100")] = {}
    undersample: Annotated[
        dict[str, Annotated[float, Meta(gt=0, le=1)]],
        Meta(
            description="share by class name of the images that an epoch shows; an image with another class too comes"
            " as often as that class wants"
        ),
    ] = {}
    repeat_factor: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(
            description="threshold t of LVIS's sampling: images of a class that the share f < t of the images holds"
            " come sqrt(t / f) times",
        ),
    ] = None
    augmentation: Annotated[
        Policy | AugmentationSettings,
        Meta(
            description="none; default: flips and colour; strong: more of both, and place and size; or each change by"
            " its strength and probability: {flip: {p: 0.5}, rotate: {degrees: 10}}",
            extra={FLAG: "--augmentation"},
        ),
    ] = "default"
    keep: Annotated[
        Literal["best", "last"],
        Meta(
            description="which epoch's weights are the model: the best on the split val, if there is one, or the last"
        ),
    ] = "best"
    best_by: Annotated[Literal["ap", "ap50"], Meta(description="what is best: the highest mean of these")] = "ap"
    focus: Annotated[tuple[str, ...], Meta(description="class names whose mean it is; empty: all")] = ()
    patience: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Meta(description="epochs without a better one after which it ends; null: none"),
    ] = None
    export: Annotated[
        Literal["saved_model"] | None,
        Meta(
            description="further form of the model in its folder: saved_model, as the Object Detection API exports"
            " one, with label_map.pbtxt"
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError("weight_decay with the optimizer adam is adamw: choose that, or l2")
        if self.warmup_steps is not None and self.warmup_epochs is not None:
            raise ValueError("expected either warmup_steps or warmup_epochs")
        if self.schedule == "cyclical" and (self.warmup_steps is not None or self.warmup_epochs is not None):
            raise ValueError("the schedule cyclical begins with a rise and has no warm-up beside it")
        if self.cycles is not None and self.schedule != "cyclical":
            raise ValueError(f"cycles are of the schedule cyclical, and the schedule is {self.schedule}")
        both = sorted(set(self.oversample) & set(self.undersample))
        if both:
            raise ValueError(f"the class {both[0]} stands in oversample and in undersample")

    @property
    def decay(self) -> float:
        """The weight decay, decoupled."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.0 if self.optimizer == "adam" else DEFAULT_DECAY


class NmsSettings(Section, frozen=True):
    """Which of several detections of one object stays."""

    iou: Annotated[
        float, Meta(ge=0, le=1, description="of two detections that overlap by more than this IoU the weaker goes")
    ] = 0.5
    mode: Annotated[
        Literal["class", "across", "none"],
        Meta(
            description="class: classes never suppress each other; across: they do; none: nothing is suppressed, nor"
            " merged of tiles and mirrored pictures. A model that suppresses by itself does so too"
        ),
    ] = "class"


class TilesSettings(Section, frozen=True):
    """Detection in parts of a picture, at their own resolution: for objects that are small in it."""

    height: Annotated[int, Meta(ge=32, le=16_384, description="pixels of a tile; the detector resizes it")] = 640
    width: Annotated[int, Meta(ge=32, le=16_384, description="pixels")] = 640
    overlap: Annotated[
        float, Meta(ge=0, le=0.9, description="share that neighbours have in common: at least an object's size")
    ] = 0.2
    whole: Annotated[bool, Meta(description="the whole picture too, for objects larger than a tile")] = True


class PredictSettings(Section, frozen=True):
    """How detections are made."""

    splits: Annotated[
        tuple[str, ...], Meta(description="splits that are predicted and evaluated", extra={FLAG: "--splits"})
    ] = ("val",)
    batch_size: Annotated[int, Meta(ge=1, le=4096, description="images a step")] = 16
    score_threshold: Annotated[
        float, Meta(ge=0, le=1, description="detections that score no more are not kept", extra={FLAG: "--threshold"})
    ] = 0.01
    score_thresholds: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1)]],
        Meta(description="the same by class name, in the place of score_threshold; max_detections counts before it"),
    ] = {}
    max_detections: Annotated[
        int, Meta(ge=1, le=10_000, description="detections kept an image", extra={FLAG: "--max-detections"})
    ] = 100
    nms: Annotated[NmsSettings, Meta(description="non-maximum suppression")] = NmsSettings()
    tiles: Annotated[
        TilesSettings | None,
        Meta(description="also detect in parts of each picture and merge; null: in whole pictures"),
    ] = None
    flip: Annotated[bool, Meta(description="also detect in the mirrored picture and merge")] = False
    train_sample: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="pictures of the split train that are predicted too, for each one of splits: diagnose compares"
            " what the model does there, and evaluate leaves them out. 0: none; files of detections have none",
        ),
    ] = 1.0
    max_unreadable: Annotated[
        float,
        Meta(ge=0, le=1, description="share of the pictures that may be unreadable, in training too; more is an error"),
    ] = 0.01
    category_map: Annotated[
        dict[int, int] | str | None,
        Meta(
            description="what the detector's class ids mean: {its id: the data set's id}, or a file with such a mapping"
            " or a label map, whose names are the data's; ids that it does not name stay. null: the model's own names,"
            " else dataset.label_map, else ids mean what they say"
        ),
    ] = None

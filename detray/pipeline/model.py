"""What detray reads of the section ``model`` of a pipeline.config, as the API's .proto files declare it.

Source: object_detection/protos/{model, ssd, faster_rcnn, center_net, image_resizer, *_anchor_generator, losses,
post_processing}.proto of github.com/tensorflow/models. Of fields that no rule reads only the text is kept.
"""

from dataclasses import dataclass
from typing import Annotated

from detray.pipeline.fields import In


@dataclass(frozen=True)
class KeepAspectRatioResizer:
    """The shorter side becomes ``min_dimension``, unless the longer would exceed ``max_dimension``; px."""

    min_dimension: Annotated[int, In(1)] = 600
    max_dimension: Annotated[int, In(2)] = 1024
    pad_to_max_dimension: Annotated[bool, In(4)] = False


@dataclass(frozen=True)
class FixedShapeResizer:
    """Stretched to this size, px."""

    height: Annotated[int, In(1)] = 300
    width: Annotated[int, In(2)] = 300


@dataclass(frozen=True)
class IdentityResizer:
    """Pictures as they are."""


@dataclass(frozen=True)
class ConditionalShapeResizer:
    """Resized where the longer side is greater, or the shorter one smaller, than ``size_threshold`` px."""

    condition: Annotated[str, In(1, enum=("INVALID", "GREATER", "SMALLER"))] = "GREATER"
    size_threshold: Annotated[int, In(2)] = 300


@dataclass(frozen=True)
class PadToMultipleResizer:
    """Padded, not resized."""

    multiple: Annotated[int, In(1)] = 1


@dataclass(frozen=True)
class ImageResizer:
    """One of the ways in which pictures become the model's input."""

    keep_aspect_ratio_resizer: Annotated[KeepAspectRatioResizer | None, In(1, one_of="image_resizer_oneof")] = None
    fixed_shape_resizer: Annotated[FixedShapeResizer | None, In(2, one_of="image_resizer_oneof")] = None
    identity_resizer: Annotated[IdentityResizer | None, In(3, one_of="image_resizer_oneof")] = None
    conditional_shape_resizer: Annotated[ConditionalShapeResizer | None, In(4, one_of="image_resizer_oneof")] = None
    pad_to_multiple_resizer: Annotated[PadToMultipleResizer | None, In(5, one_of="image_resizer_oneof")] = None


@dataclass(frozen=True)
class GridAnchorGenerator:
    """One layer's anchors: ``height`` times each scale, px."""

    height: Annotated[int, In(1)] = 256
    width: Annotated[int, In(2)] = 256
    height_stride: Annotated[int, In(3)] = 16
    width_stride: Annotated[int, In(4)] = 16
    scales: Annotated[tuple[float, ...], In(7)] = ()
    aspect_ratios: Annotated[tuple[float, ...], In(8)] = ()


@dataclass(frozen=True)
class SsdAnchorGenerator:
    """Anchors of SSD: scales are shares of the input's shorter side."""

    num_layers: Annotated[int, In(1)] = 6
    min_scale: Annotated[float, In(2)] = 0.2
    max_scale: Annotated[float, In(3)] = 0.95
    aspect_ratios: Annotated[tuple[float, ...], In(4)] = ()
    reduce_boxes_in_lowest_layer: Annotated[bool, In(5)] = True
    base_anchor_height: Annotated[float, In(6)] = 1.0
    base_anchor_width: Annotated[float, In(7)] = 1.0
    height_stride: Annotated[tuple[int, ...], In(8)] = ()
    width_stride: Annotated[tuple[int, ...], In(9)] = ()
    scales: Annotated[tuple[float, ...], In(12)] = ()
    interpolated_scale_aspect_ratio: Annotated[float, In(13)] = 1.0


@dataclass(frozen=True)
class MultiscaleAnchorGenerator:
    """Anchors of RetinaNet: of level l ``anchor_scale`` times 2^l px, and ``scales_per_octave`` sizes from there."""

    min_level: Annotated[int, In(1)] = 3
    max_level: Annotated[int, In(2)] = 7
    anchor_scale: Annotated[float, In(3)] = 4.0
    aspect_ratios: Annotated[tuple[float, ...], In(4)] = ()
    scales_per_octave: Annotated[int, In(5)] = 2


@dataclass(frozen=True)
class AnchorGrid:
    """One layer of a flexible grid; sizes in px."""

    base_sizes: Annotated[tuple[float, ...], In(1)] = ()
    aspect_ratios: Annotated[tuple[float, ...], In(2)] = ()
    height_stride: Annotated[int, In(3, "uint32")] = 0
    width_stride: Annotated[int, In(4, "uint32")] = 0


@dataclass(frozen=True)
class FlexibleGridAnchorGenerator:
    """Layers that are stated one by one."""

    anchor_grid: Annotated[tuple[AnchorGrid, ...], In(1)] = ()


@dataclass(frozen=True)
class AnchorGenerator:
    """One of the ways to make anchors."""

    grid_anchor_generator: Annotated[GridAnchorGenerator | None, In(1, one_of="anchor_generator_oneof")] = None
    ssd_anchor_generator: Annotated[SsdAnchorGenerator | None, In(2, one_of="anchor_generator_oneof")] = None
    multiscale_anchor_generator: Annotated[MultiscaleAnchorGenerator | None, In(3, one_of="anchor_generator_oneof")] = (
        None
    )
    flexible_grid_anchor_generator: Annotated[
        FlexibleGridAnchorGenerator | None, In(4, one_of="anchor_generator_oneof")
    ] = None


@dataclass(frozen=True)
class Pyramid:
    """Levels of a feature pyramid: level l has the stride 2^l."""

    min_level: Annotated[int, In(1)] = 3
    max_level: Annotated[int, In(2)] = 7


@dataclass(frozen=True)
class SsdFeatureExtractor:
    """The backbone of an SSD."""

    type: Annotated[str, In(1)] = ""
    fpn: Annotated[Pyramid | None, In(10, one_of="feature_pyramid_oneof")] = None
    bifpn: Annotated[Pyramid | None, In(19, one_of="feature_pyramid_oneof")] = None


@dataclass(frozen=True)
class FasterRcnnFeatureExtractor:
    """The backbone of a Faster R-CNN."""

    type: Annotated[str, In(1)] = ""
    first_stage_features_stride: Annotated[int, In(2)] = 16
    batch_norm_trainable: Annotated[bool, In(3)] = False
    fpn: Annotated[Pyramid | None, In(7)] = None


@dataclass(frozen=True)
class CenterNetFeatureExtractor:
    """The backbone of a CenterNet."""

    type: Annotated[str, In(1)] = ""


@dataclass(frozen=True)
class BatchNonMaxSuppression:
    """Which detections are kept."""

    score_threshold: Annotated[float, In(1)] = 0.0
    iou_threshold: Annotated[float, In(2)] = 0.6
    max_detections_per_class: Annotated[int, In(3)] = 100
    max_total_detections: Annotated[int, In(5)] = 100
    use_class_agnostic_nms: Annotated[bool, In(7)] = False


@dataclass(frozen=True)
class PostProcessing:
    """From raw boxes to detections."""

    batch_non_max_suppression: Annotated[BatchNonMaxSuppression, In(1)] = BatchNonMaxSuppression()


@dataclass(frozen=True)
class SigmoidFocalLoss:
    """Focal loss; ``alpha`` weighs positives, unset in the .proto: none."""

    gamma: Annotated[float, In(2)] = 2.0
    alpha: Annotated[float, In(3)] = 0.0


@dataclass(frozen=True)
class OtherLoss:
    """A loss whose parameters no rule reads."""


@dataclass(frozen=True)
class ClassificationLoss:
    """One of the losses of classes."""

    weighted_sigmoid: Annotated[OtherLoss | None, In(1, one_of="classification_loss")] = None
    weighted_softmax: Annotated[OtherLoss | None, In(2, one_of="classification_loss")] = None
    bootstrapped_sigmoid: Annotated[OtherLoss | None, In(3, one_of="classification_loss")] = None
    weighted_sigmoid_focal: Annotated[SigmoidFocalLoss | None, In(4, one_of="classification_loss")] = None
    weighted_logits_softmax: Annotated[OtherLoss | None, In(5, one_of="classification_loss")] = None
    penalty_reduced_logistic_focal_loss: Annotated[OtherLoss | None, In(6, one_of="classification_loss")] = None
    weighted_dice_classification_loss: Annotated[OtherLoss | None, In(7, one_of="classification_loss")] = None


@dataclass(frozen=True)
class Loss:
    """The losses of an SSD and how they are weighed."""

    classification_loss: Annotated[ClassificationLoss, In(2)] = ClassificationLoss()
    classification_weight: Annotated[float, In(4)] = 1.0
    localization_weight: Annotated[float, In(5)] = 1.0


@dataclass(frozen=True)
class Ssd:
    """SSD, RetinaNet and EfficientDet."""

    num_classes: Annotated[int, In(1)] = 0
    image_resizer: Annotated[ImageResizer, In(2)] = ImageResizer()
    feature_extractor: Annotated[SsdFeatureExtractor, In(3)] = SsdFeatureExtractor()
    anchor_generator: Annotated[AnchorGenerator, In(8)] = AnchorGenerator()
    post_processing: Annotated[PostProcessing, In(9)] = PostProcessing()
    loss: Annotated[Loss, In(11)] = Loss()
    freeze_batchnorm: Annotated[bool, In(16)] = False


@dataclass(frozen=True)
class FasterRcnn:
    """Faster R-CNN and Mask R-CNN."""

    num_classes: Annotated[int, In(3)] = 0
    image_resizer: Annotated[ImageResizer, In(4)] = ImageResizer()
    feature_extractor: Annotated[FasterRcnnFeatureExtractor, In(5)] = FasterRcnnFeatureExtractor()
    first_stage_anchor_generator: Annotated[AnchorGenerator, In(6)] = AnchorGenerator()
    first_stage_max_proposals: Annotated[int, In(15)] = 300
    second_stage_post_processing: Annotated[PostProcessing, In(24)] = PostProcessing()
    second_stage_localization_loss_weight: Annotated[float, In(25)] = 1.0


@dataclass(frozen=True)
class ObjectCenterParams:
    """How CenterNet finds centres."""

    max_box_predictions: Annotated[int, In(5)] = 100


@dataclass(frozen=True)
class CenterNet:
    """CenterNet."""

    num_classes: Annotated[int, In(1)] = 0
    feature_extractor: Annotated[CenterNetFeatureExtractor, In(2)] = CenterNetFeatureExtractor()
    image_resizer: Annotated[ImageResizer, In(3)] = ImageResizer()
    object_center_params: Annotated[ObjectCenterParams, In(5)] = ObjectCenterParams()


@dataclass(frozen=True)
class DetectionModel:
    """One of the architectures."""

    faster_rcnn: Annotated[FasterRcnn | None, In(1, one_of="model")] = None
    ssd: Annotated[Ssd | None, In(2, one_of="model")] = None
    center_net: Annotated[CenterNet | None, In(4, one_of="model")] = None

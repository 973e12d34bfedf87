"""Every backbone that the RetinaNet can stand on."""

from collections.abc import Callable
from typing import Any

from detray.detectors.retinanet.backbones.applications import Application
from detray.detectors.retinanet.backbones.tiny import tiny
from detray.detectors.retinanet.layers import Layers
from detray.detectors.settings import BackboneName

Backbone = Callable[[Any, Layers], dict[int, Any]]
"""From a Keras tensor, uint8 ``[b, height, width, 3]`` RGB, to the feature maps of levels 3, 4 and 5 (strides 8, 16
and 32); preprocessing is a part of it."""

BARE = (("include_preprocessing", False),)

BACKBONES: dict[BackboneName, Backbone] = {
    "tiny": tiny,
    "mobilenet_v2": Application("MobileNetV2", "-1..1"),
    "mobilenet_v3_small": Application("MobileNetV3Small", "-1..1", BARE),
    "mobilenet_v3_large": Application("MobileNetV3Large", "-1..1", BARE),
    "resnet50": Application("ResNet50", "caffe"),
    "efficientnet_v2_b0": Application("EfficientNetV2B0", "torch", BARE),
    "efficientnet_v2_s": Application("EfficientNetV2S", "-1..1", BARE),
    "convnext_tiny": Application("ConvNeXtTiny", "torch", BARE),
}

"""A small residual convolutional network that learns from few images on a CPU."""

from typing import Any

from detray.detectors.retinanet.layers import Layers

WIDTHS = (16, 24, 48, 64, 96)
"""Channels at strides 2, 4, 8, 16 and 32."""


def tiny(image: Any, layers: Layers) -> dict[int, Any]:
    """The feature maps of pyramid levels 3, 4 and 5 (strides 8, 16, 32) of a Keras tensor ``image``.

    ``image`` is uint8 ``[b, height, width, 3]``. Layers of level k are named ``backbone_<k>_...``;
    the stem belongs to level 3.
    """
    features = layers.keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(image)
    levels = {}
    for index, width in enumerate(WIDTHS):
        level = max(index + 1, 3)
        name = f"backbone_{level}_{index + 1}"
        features = layers.conv(width, 3, f"{name}_down", stride=2, use_bias=False)(features)
        features = layers.relu(f"{name}_relu1")(layers.norm(f"{name}_norm1")(features))
        if index > 0:  # at stride 2 a second convolution costs a fifth of the step and gains nothing
            shortcut = features
            features = layers.norm(f"{name}_norm2")(layers.conv(width, 3, f"{name}_conv", use_bias=False)(features))
            features = layers.relu(f"{name}_relu2")(layers.add(f"{name}_add")([shortcut, features]))
        levels[level] = features
    return levels

"""The RetinaNet: a backbone, a feature pyramid, and two small heads shared by its levels.

Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.
"""

import math
from typing import Any

from detray.detectors.retinanet.anchors import anchor_shapes
from detray.detectors.retinanet.backbones.catalogue import BACKBONES
from detray.detectors.retinanet.layers import Layers
from detray.detectors.settings import DetectorSettings

PYRAMID_WIDTH = 48
PRIOR = 0.01
"""Score of every class before training: a higher one drowns the first steps in background."""
OUTPUT_SIGMA = 0.01


def build_network(
    detector: DetectorSettings, n_classes: int, seed: int = 0, *, portable: bool = False, dropout: float = 0.0
) -> Any:
    """The untrained Keras model that is configured.

    Takes uint8 RGB ``[b, height, width, 3]``; gives class logits ``[b, a, n_classes]`` and encoded
    boxes ``[b, a, 4]`` in the order of `anchors.make_anchors`. The ``portable`` one is made of Keras's
    own layers only; weights go from one to the other, with and without ``dropout`` in the head towers.
    """
    layers = Layers(seed, portable=portable, dropout=dropout)
    keras = layers.keras
    shapes = anchor_shapes(detector)
    image = keras.Input((detector.input_height, detector.input_width, 3), dtype="uint8", name="image")
    features = BACKBONES[detector.backbone](image, layers)
    pyramid = _pyramid(features, layers, max(shapes))
    each = len(shapes[max(shapes)])
    logits = _head(pyramid, layers, "class", n_classes, each, bias=-math.log((1 - PRIOR) / PRIOR))
    encoded = _head(pyramid, layers, "box", 4, each, bias=0.0)
    return keras.Model(image, {"logits": logits, "boxes": encoded}, name="retinanet")


def _pyramid(features: dict[int, Any], layers: Layers, top: int) -> dict[int, Any]:
    """Feature pyramid of Lin et al., CVPR 2017: from the top down, added and smoothed.

    Levels above the backbone's, up to ``top``, are convolved from the one below, as in RetinaNet.
    """
    pyramid: dict[int, Any] = {}
    above = None
    for level in sorted(features, reverse=True):
        merged = layers.conv(PYRAMID_WIDTH, 1, f"fpn_{level}_lateral")(features[level])
        if above is not None:
            grown = layers.keras.layers.UpSampling2D(2, name=f"fpn_{level}_grow")(above)
            merged = layers.add(f"fpn_{level}_add")([merged, grown])
        above = merged
        pyramid[level] = layers.conv(PYRAMID_WIDTH, 3, f"fpn_{level}_smooth")(merged)
    for level in range(max(features) + 1, top + 1):
        below = pyramid[level - 1]
        if level - 1 not in features:
            below = layers.relu(f"fpn_{level}_relu")(below)
        pyramid[level] = layers.conv(PYRAMID_WIDTH, 3, f"fpn_{level}_down", stride=2)(below)
    return dict(sorted(pyramid.items()))


def _head(pyramid: dict[int, Any], layers: Layers, name: str, channels: int, each: int, bias: float) -> Any:
    """One tower for all levels: ``channels`` numbers an anchor, of which a cell has ``each``, ``[b, a, channels]``."""
    keras = layers.keras
    tower = layers.conv(PYRAMID_WIDTH, 3, f"head_{name}_conv", use_bias=False)
    norm, relu = layers.norm(f"head_{name}_norm"), layers.relu(f"head_{name}_relu")
    drop = layers.dropout(f"head_{name}_dropout")
    last = layers.conv(
        channels * each,
        3,
        f"output_{name}",
        sigma=OUTPUT_SIGMA,
        bias_initializer=keras.initializers.Constant(bias),
    )
    flat = [
        keras.layers.Reshape((-1, channels), name=f"output_{name}_{level}")(last(drop(relu(norm(tower(features))))))
        for level, features in pyramid.items()
    ]
    return keras.layers.Concatenate(axis=1, name=f"output_{name}_all")(flat)

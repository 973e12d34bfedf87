"""Boxes from what a network says relative to its anchors. All arrays are ``[a, 4]``, corners come out."""

import math
from typing import Any

import numpy as np

from detray.arrays import Floats

MAX_LOG_SIZE = math.log(1000 / 16)
"""Boxes are at most 62.5 times their anchor: fresh weights overflow. Source: torchvision's ``BoxCoder``."""

SSD_VARIANCE = (0.1, 0.1, 0.2, 0.2)
"""Of the Object Detection API's ``faster_rcnn_box_coder`` in its SSD configurations: scales 10, 10, 5, 5."""


def from_deltas(deltas: Any, anchors: Any, variance: Any = (1, 1, 1, 1), *, ops: Any = np) -> Any:
    """Corners in the anchors' unit, as what the deltas are: float64 for tuples of variances, or a tensor.

    Args:
        deltas: offsets of centre x, y in anchor sizes, and logs of width, height in these; of tensors also for several
            pictures, ``[b, a, 4]``.
        anchors: centre x, centre y, width, height.
        variance: what deltas are multiplied by.
        ops: NumPy, or ``keras.ops`` for tensors.

    Source: Ren et al., Faster R-CNN, 2015, equation 2; variances: Liu et al., SSD, 2016.
    """
    scaled = deltas * variance
    centres = anchors[:, :2] + scaled[..., :2] * anchors[:, 2:]
    half = ops.exp(ops.minimum(scaled[..., 2:], MAX_LOG_SIZE)) * anchors[:, 2:] / 2
    return ops.concatenate([centres - half, centres + half], axis=-1)


def from_offsets(offsets: Floats, anchors: Floats, width: int, height: int) -> Floats:
    """Corners as shares of the input, from MediaPipe's regressors.

    Args:
        offsets: centre x, y from the anchor's centre, width and height, all in px of the input.
        anchors: centre x, centre y, width, height as shares; widths and heights are 1.
        width, height: of the input, px.

    Source: MediaPipe, ``tensors_to_detections_calculator.cc``, without reversed order, fixed anchor size.
    """
    shares = offsets.astype(np.float64) / np.array([width, height, width, height])
    centres = anchors[:, :2] + shares[:, :2] * anchors[:, 2:]
    half = shares[:, 2:] * anchors[:, 2:] / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def sigmoid(logits: Floats) -> Floats:
    """Of any shape, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(logits.astype(np.float64) / 2)))

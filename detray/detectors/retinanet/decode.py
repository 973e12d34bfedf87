"""From the network's raw outputs to detections: decode the boxes, drop double ones class by class."""

from typing import Any

from detray.detectors.retinanet.anchors import VARIANCE, make_anchors
from detray.detectors.runtime import tensorflow

NMS_IOU = 0.5
"""Of two detections of one class that overlap more, the weaker goes. Classes never suppress each other:
that would cost the weak classes their detections."""

MAX_LOG_SIZE = 4.0
"""Boxes are at most e^4 times their anchor: an untrained box head could otherwise overflow."""


def make_decoder(height: int, width: int, score_threshold: float, max_detections: int) -> Any:
    """A function on tensors: logits ``[b, a, c]`` and encoded boxes ``[b, a, 4]`` to detections.

    It returns boxes ``[b, m, 4]`` as ymin, xmin, ymax, xmax in fractions of the image, inside it;
    scores ``[b, m]``, falling; class indices ``[b, m]``; and how many of the m = ``max_detections``
    rows count, ``[b]``.
    """
    tf, _ = tensorflow()
    anchors = make_anchors(height, width)
    centres = tf.constant((anchors[:, :2] + anchors[:, 2:]) / 2)
    sizes = tf.constant(anchors[:, 2:] - anchors[:, :2])
    extent = tf.constant([width, height], tf.float32)

    def decode(logits: Any, encoded: Any) -> Any:
        encoded = encoded * VARIANCE
        middle = centres + encoded[..., :2] * sizes
        half = tf.exp(tf.minimum(encoded[..., 2:], MAX_LOG_SIZE)) * sizes / 2
        low = tf.clip_by_value((middle - half) / extent, 0, 1)
        high = tf.clip_by_value((middle + half) / extent, 0, 1)
        boxes = tf.concat([low[..., ::-1], high[..., ::-1]], axis=-1)
        boxes, scores, classes, counts = tf.image.combined_non_max_suppression(
            boxes[:, :, None, :],
            tf.sigmoid(logits),
            max_output_size_per_class=max_detections,
            max_total_size=max_detections,
            iou_threshold=NMS_IOU,
            score_threshold=score_threshold,
            clip_boxes=False,
        )
        return boxes, scores, tf.cast(classes, tf.int32), counts

    return decode

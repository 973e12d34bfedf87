"""From the network's raw outputs to detections: decode the boxes, drop double ones."""

from typing import Any

import numpy as np

from detray.detectors.raw.decode import from_deltas
from detray.detectors.retinanet.anchors import VARIANCE, make_anchors
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, PredictSettings


def make_decoder(detector: DetectorSettings, predict: PredictSettings) -> Any:
    """A function on tensors: logits ``[b, a, c]`` and encoded boxes ``[b, a, 4]`` to detections.

    It returns boxes ``[b, m, 4]`` as ymin, xmin, ymax, xmax in fractions of the image, inside it;
    scores ``[b, m]``, falling; class indices ``[b, m]``; and how many of the m = ``predict.max_detections``
    rows count, ``[b]``.
    """
    tf, _ = tensorflow()
    decoded = make_box_decoder(detector)

    def decode(logits: Any, encoded: Any) -> Any:
        return suppressed(decoded(encoded), tf.sigmoid(logits), predict)

    return decode


def make_box_decoder(detector: DetectorSettings) -> Any:
    """A function from encoded boxes ``[b, a, 4]`` to ymin, xmin, ymax, xmax in fractions of the image, inside it."""
    tf, keras = tensorflow()
    low, high = np.split(make_anchors(detector), 2, axis=1)
    anchors = tf.constant(np.concatenate([(low + high) / 2, high - low], axis=1))
    extent = tf.constant([detector.input_width, detector.input_height] * 2, tf.float32)

    def decode(encoded: Any) -> Any:
        corners = from_deltas(encoded, anchors, VARIANCE, ops=keras.ops)
        inside = tf.clip_by_value(corners / extent, 0, 1)
        return tf.concat([inside[..., 1::-1], inside[..., :1:-1]], axis=-1)

    return decode


def suppressed(boxes: Any, scores: Any, predict: PredictSettings) -> Any:
    """Of boxes ``[b, a, 4]`` and scores ``[b, a, c]`` what `make_decoder` gives."""
    tf, _ = tensorflow()
    boxes, scores, classes, counts = _SUPPRESSION[predict.nms.mode](boxes, scores, predict)
    return boxes, scores, tf.cast(classes, tf.int32), counts


def _by_class(boxes: Any, scores: Any, predict: PredictSettings) -> Any:
    """Boxes ``[b, a, 4]`` and scores ``[b, a, c]`` as `make_decoder` gives them; classes never suppress each other,
    which would cost the weak classes their detections."""
    tf, _ = tensorflow()
    return tf.image.combined_non_max_suppression(
        boxes[:, :, None, :],
        scores,
        max_output_size_per_class=predict.max_detections,
        max_total_size=predict.max_detections,
        iou_threshold=predict.nms.iou,
        score_threshold=predict.score_threshold,
        clip_boxes=False,
    )


def _across_classes(boxes: Any, scores: Any, predict: PredictSettings) -> Any:
    """The same where of each box its best class alone counts, and suppresses the others too."""
    tf, _ = tensorflow()
    best, classes = tf.reduce_max(scores, axis=-1), tf.argmax(scores, axis=-1)

    def kept_of(picture: Any) -> Any:
        rows, count = tf.raw_ops.NonMaxSuppressionV4(
            boxes=picture[0],
            scores=picture[1],
            max_output_size=predict.max_detections,
            iou_threshold=predict.nms.iou,
            score_threshold=predict.score_threshold,
            pad_to_max_output_size=True,
        )
        return rows, count

    kept, counts = tf.map_fn(kept_of, (boxes, best), fn_output_signature=(tf.int32, tf.int32))
    return *(tf.gather(values, kept, batch_dims=1) for values in (boxes, best, classes)), counts


def _without(boxes: Any, scores: Any, predict: PredictSettings) -> Any:
    """The same where nothing is suppressed."""
    tf, _ = tensorflow()
    anchors, classes = scores.shape[1:]
    flat = tf.reshape(scores, (-1, anchors * classes))
    best, place = tf.math.top_k(flat, min(predict.max_detections, anchors * classes))
    counts = tf.reduce_sum(tf.cast(best > predict.score_threshold, tf.int32), axis=1)
    return tf.gather(boxes, place // classes, batch_dims=1), best, place % classes, counts


_SUPPRESSION = {"class": _by_class, "across": _across_classes, "none": _without}

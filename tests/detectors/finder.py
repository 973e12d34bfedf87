"""What is red and what is green in a picture, found by TensorFlow: the inside of test models.

Each gives the boxes of both as shares of the input, and scores that are 0 for what is not there.
"""

from typing import Any

from detray.detectors.runtime import tensorflow

SURE = (0.9, 0.8)
"""The scores of what is red and what is green."""


def find(pixels: Any) -> tuple[Any, Any]:
    """Corners ``[2, 4]``, xmin, ymin, xmax, ymax as shares, and scores ``[2]`` of a picture ``[h, w, 3]``, 0 to 1."""
    tf, _ = tensorflow()
    red, green = pixels[..., 0], pixels[..., 1]
    corners, scores = [], []
    for (this, other), sure in zip(((red, green), (green, red)), SURE, strict=True):
        is_there = tf.cast(this > 0.6, tf.float32) * tf.cast(other < 0.4, tf.float32)
        left, right = _span(tf.reduce_max(is_there, axis=0))
        top, bottom = _span(tf.reduce_max(is_there, axis=1))
        corners.append(tf.stack([left, top, right, bottom]))
        scores.append(sure * tf.reduce_max(is_there))
    return tf.stack(corners), tf.stack(scores)


def _span(is_there: Any) -> tuple[Any, Any]:
    """From where to where a row of 0 and 1 has ones, as shares of its length; all of it where it has none."""
    tf, _ = tensorflow()
    count = is_there.shape[0]
    place = tf.range(count, dtype=tf.float32)
    first = tf.reduce_max(is_there * (count - place))
    last = tf.reduce_max(is_there * (place + 1))
    return 1 - tf.where(first > 0, first, float(count)) / count, tf.where(last > 0, last, float(count)) / count


def sizes(corners: Any) -> Any:
    """Corners ``[2, 4]`` as centre x, centre y, width, height."""
    tf, _ = tensorflow()
    low, high = corners[:, :2], corners[:, 2:]
    return tf.concat([(low + high) / 2, high - low], axis=1)

"""What the training minimises: focal loss for classes, Huber loss for boxes. On TensorFlow tensors."""

from typing import Any

from detray.detectors.retinanet.anchors import IGNORED
from detray.detectors.runtime import tensorflow


def focal_loss(
    logits: Any, classes: Any, class_weights: Any, *, alpha: float, gamma: float, label_smoothing: float
) -> Any:
    """Sigmoid focal loss, summed over anchors and classes and divided by the number of objects.

    The number is that of the whole batch, so that images without objects teach background too.

    Args:
        logits: float32 ``[b, a, c]``.
        classes: int32 ``[b, a]``: class index, `BACKGROUND` or `IGNORED` (which count nothing).
        class_weights: float32 ``[c]``: factor of each class's part.
        alpha: weight of the positives; 1 - alpha that of the negatives.
        gamma: how strongly easy anchors are discounted.
        label_smoothing: targets become s/2 and 1 - s/2.

    Source: Lin et al., ICCV 2017, equation 5.
    """
    tf, _ = tensorflow()
    objects = tf.one_hot(classes, logits.shape[-1])  # negative indices give a row of zeros
    targets = objects * (1 - label_smoothing) + label_smoothing / 2
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    score = tf.sigmoid(logits)
    missing = objects * (1 - score) + (1 - objects) * score
    # at 0 the power's derivative is infinite below gamma 1
    focus = tf.pow(tf.maximum(missing, 1e-6), gamma)
    balance = objects * alpha + (1 - objects) * (1 - alpha)
    counted = tf.cast(classes != IGNORED, tf.float32)[..., None]
    total = tf.reduce_sum(entropy * focus * balance * counted * class_weights)
    return total / tf.maximum(tf.reduce_sum(objects), 1)


def box_loss(encoded: Any, targets: Any, classes: Any) -> Any:
    """Huber loss of ``encoded`` against ``targets`` (``[b, a, 4]``) over anchors that hold an object, their mean."""
    tf, _ = tensorflow()
    objects = tf.cast(classes >= 0, tf.float32)
    miss = tf.abs(encoded - targets)
    huber = tf.where(miss < 1, 0.5 * miss * miss, miss - 0.5)
    return tf.reduce_sum(tf.reduce_sum(huber, axis=-1) * objects) / tf.maximum(tf.reduce_sum(objects), 1)

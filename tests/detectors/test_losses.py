import numpy as np
import pytest

from detray.detectors.retinanet.anchors import BACKGROUND, IGNORED
from detray.detectors.runtime import tensorflow
from detray.detectors.training.losses import box_loss, focal_loss

tf, _ = tensorflow()
LOGITS = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
CLASSES = np.array(
    [[0, 2, BACKGROUND, IGNORED, BACKGROUND], [1, BACKGROUND, BACKGROUND, IGNORED, BACKGROUND]], np.int32
)


def _focal(logits=LOGITS, classes=CLASSES, weights=(1, 1, 1), alpha=0.25, gamma=2.0, label_smoothing=0.0):
    weights = np.array(weights, np.float32)
    result = focal_loss(
        tf.constant(logits), classes, weights, alpha=alpha, gamma=gamma, label_smoothing=label_smoothing
    )
    return float(result)


def test_focal_loss_is_the_papers_formula():
    total = 0.0
    for image, anchor in np.ndindex(2, 5):
        for number in range(3):
            if CLASSES[image, anchor] == IGNORED:
                continue
            score = 1 / (1 + np.exp(-float(LOGITS[image, anchor, number])))
            is_object = CLASSES[image, anchor] == number
            right = score if is_object else 1 - score
            total -= (0.25 if is_object else 0.75) * (1 - right) ** 2 * np.log(right)
    assert _focal() == pytest.approx(total / 3, rel=1e-5)  # three objects


def test_gamma_0_and_alpha_one_half_is_half_the_cross_entropy():
    counted = CLASSES != IGNORED
    targets = np.eye(4, dtype=np.float32)[np.maximum(CLASSES, -1)][..., :3] * (CLASSES >= 0)[..., None]
    entropy = np.logaddexp(0, LOGITS) - LOGITS * targets
    assert _focal(alpha=0.5, gamma=0.0) == pytest.approx((entropy * counted[..., None]).sum() / 2 / 3, rel=1e-5)


def test_an_image_without_objects_teaches_background():
    empty = np.full_like(CLASSES, BACKGROUND)
    sure = np.full_like(LOGITS, 4)
    assert _focal(sure, empty) > 10 * _focal(-sure, empty) > 0


def test_ignored_anchors_count_nothing():
    changed = LOGITS.copy()
    changed[CLASSES == IGNORED] = 50
    assert _focal(changed) == pytest.approx(_focal())


def test_a_weight_scales_its_class_only():
    parts = [_focal(weights=np.eye(3)[number]) for number in range(3)]
    assert sum(parts) == pytest.approx(_focal(), rel=1e-5)
    assert _focal(weights=(4, 1, 1)) == pytest.approx(_focal() + 3 * parts[0], rel=1e-5)


def test_smoothing_punishes_certainty():
    sure = np.where(np.eye(4)[np.maximum(CLASSES, -1)][..., :3] * (CLASSES >= 0)[..., None], 9, -9).astype(np.float32)
    assert _focal(sure, label_smoothing=0.2) > _focal(sure)


def test_the_gradient_is_finite_where_an_anchor_is_certain():
    logits = tf.constant(np.full((1, 1, 1), 60, np.float32))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = focal_loss(
            logits, np.zeros((1, 1), np.int32), np.ones(1, np.float32), alpha=0.25, gamma=0.5, label_smoothing=0.0
        )
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_box_loss_is_the_mean_huber_over_objects():
    targets = np.zeros((1, 3, 4), np.float32)
    encoded = np.array([[[0.5, 0, 0, 0], [3, 0, 0, 0], [99, 99, 99, 99]]], np.float32)
    classes = np.array([[0, 1, BACKGROUND]], np.int32)
    assert float(box_loss(tf.constant(encoded), targets, classes)) == pytest.approx((0.125 + 2.5) / 2)
    assert float(box_loss(tf.constant(encoded), targets, np.full((1, 3), BACKGROUND, np.int32))) == 0

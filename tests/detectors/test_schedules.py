import numpy as np
import pytest

from detray.detectors.data import TrainingData
from detray.detectors.settings import TrainSettings
from detray.detectors.training.class_weights import class_weights
from detray.detectors.training.schedules import epoch_order, learning_rate, repeat_factors, steps_per_epoch
from detray.schema import empty


def _rate(step, schedule, total=1000):
    return learning_rate(step, total, TrainSettings(learning_rate=1.0, schedule=schedule))


def test_the_rate_warms_up_then_follows_its_schedule():
    for schedule in ("cosine", "constant", "step"):
        assert _rate(0, schedule) == pytest.approx(1 / 50)
        assert _rate(49, schedule) == pytest.approx(1)
    assert _rate(999, "cosine") < 1e-4
    assert _rate(525, "cosine") == pytest.approx(0.5)
    assert _rate(999, "constant") == 1
    assert [_rate(step, "step") for step in (500, 700, 999)] == pytest.approx([1, 0.1, 0.01])


def test_a_short_training_still_reaches_its_peak():
    assert max(_rate(step, "cosine", total=4) for step in range(4)) == 1


def test_every_image_comes_once_and_a_part_of_a_batch_is_filled():
    order, showing = epoch_order(np.ones(10), 4, seed=0, epoch=1)
    assert order.shape == (3, 4)
    assert set(order.ravel()) == set(range(10))
    assert showing.sum() == 2  # two images come a second time
    assert steps_per_epoch(np.ones(10), 4) == 3


def test_the_order_depends_on_seed_and_epoch_only():
    first = epoch_order(np.ones(50), 4, 0, 1)[0]
    np.testing.assert_array_equal(first, epoch_order(np.ones(50), 4, 0, 1)[0])
    assert not np.array_equal(first, epoch_order(np.ones(50), 4, 0, 2)[0])
    assert not np.array_equal(first, epoch_order(np.ones(50), 4, 1, 1)[0])


def test_fewer_images_than_a_batch():
    order, _ = epoch_order(np.ones(3), 8, 0, 1)
    assert order.shape == (1, 8)
    assert set(order.ravel()) == {0, 1, 2}


def test_an_image_comes_as_often_as_its_factor_says():
    factors = np.array([1.0] * 90 + [4.0] * 5 + [1.5] * 5)
    shown = np.concatenate([epoch_order(factors, 4, 0, epoch)[0].ravel() for epoch in range(200)])
    counts = np.bincount(shown, minlength=100) / 200
    np.testing.assert_allclose(counts[90:95], 4, atol=0.25)
    np.testing.assert_allclose(counts[95:], 1.5, atol=0.25)


def _data(labels, offsets):
    n = len(offsets) - 1
    boxes = np.tile(np.array([[0, 0, 5, 5]], np.float32), (len(labels), 1))
    ids = np.arange(n)
    return TrainingData(
        np.zeros((n, 8, 8, 3), np.uint8),
        ids,
        np.ones((n, 2)),
        boxes,
        np.array(labels, np.int32),
        np.array(offsets),
        empty("quarantine"),
        {},
    )


def test_an_images_factor_is_the_largest_of_its_classes():
    data = _data(labels=[0, 1, 0, -1], offsets=[0, 2, 3, 3, 4])
    np.testing.assert_array_equal(repeat_factors(data, ["a", "rare"], {"rare": 8.0}), [8, 1, 1, 1])
    np.testing.assert_array_equal(repeat_factors(data, ["a", "rare"], {}), [1, 1, 1, 1])


def test_class_weights():
    labels = np.array([0] * 90 + [1] * 10 + [-1] * 7, np.int32)
    np.testing.assert_array_equal(class_weights(labels, ["a", "b"], "none"), [1, 1])
    np.testing.assert_array_equal(class_weights(labels, ["a", "b"], {"b": 3.0}), [1, 3])
    np.testing.assert_allclose(class_weights(labels, ["a", "b"], "inverse_frequency"), [0.2, 1.8], atol=1e-6)
    effective = class_weights(labels, ["a", "b"], "effective_number")
    assert effective.mean() == pytest.approx(1)
    assert 0.2 < effective[0] < 1 < effective[1]
    assert np.isfinite(class_weights(labels, ["a", "b", "never"], "inverse_frequency")).all()

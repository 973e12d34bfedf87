import numpy as np
import pytest

from detray.detectors.data import TrainingData
from detray.detectors.settings import TrainSettings
from detray.detectors.training.class_weights import class_weights
from detray.detectors.training.sampling import epoch_order, image_factors, steps_per_epoch
from detray.detectors.training.schedules import Schedule
from detray.errors import UsageError
from detray.schema import empty
from detray.settings import convert


def _schedule(schedule, total=1000, epochs=10, **more):
    return Schedule.of(TrainSettings(learning_rate=1.0, epochs=epochs, schedule=schedule, **more), total // epochs)


def _rate(step, schedule, total=1000, epochs=10, **more):
    return _schedule(schedule, total, epochs, **more).rate(step)


def test_the_rate_warms_up_then_follows_its_schedule():
    for schedule in ("cosine", "constant", "step"):
        assert _rate(0, schedule) == pytest.approx(1 / 50)
        assert _rate(49, schedule) == pytest.approx(1)
    assert _rate(999, "cosine") < 1e-4
    assert _rate(525, "cosine") == pytest.approx(0.5)
    assert _rate(999, "constant") == 1
    assert [_rate(step, "step") for step in (500, 700, 999)] == pytest.approx([1, 0.1, 0.01])


def test_a_short_training_still_reaches_its_peak():
    for schedule in ("cosine", "constant", "step", "one_cycle"):
        assert max(_rate(step, schedule, total=4, epochs=1) for step in range(4)) == pytest.approx(1, abs=0.3)
    assert max(_rate(step, "cosine", total=4, epochs=1) for step in range(4)) == 1


def test_cyclical_goes_up_and_down():
    rates = [_rate(step, "cyclical") for step in range(1000)]
    assert min(rates) == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1)
    assert [rates[step] for step in (0, 125, 250, 375)] == pytest.approx([0.1, 1, 0.1, 1])
    assert [_rate(step, "cyclical", cycles=1) for step in (0, 500)] == pytest.approx([0.1, 1])


def test_one_cycle_rises_and_falls_to_almost_nothing():
    rates = [_rate(step, "one_cycle") for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates.index(max(rates)) == 300
    assert rates[999] < 1e-4
    assert _rate(100, "one_cycle", warmup_steps=100) == 1
    assert _rate(0, "one_cycle", warmup_steps=0) == 1


def test_the_warm_up_is_as_long_as_is_said():
    assert [_rate(step, "constant", warmup_steps=4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert _rate(0, "constant", warmup_steps=0) == 1
    assert _rate(49, "constant", warmup_epochs=0.5) == 1
    assert _rate(24, "constant", warmup_epochs=0.5) == 0.5
    for more in ({"warmup_steps": 1000}, {"warmup_epochs": 10.0}):
        with pytest.raises(UsageError, match="1000 steps, and the whole training has 1000: 10 epochs of 100"):
            _schedule("cosine", **more)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optimizer": "adam", "weight_decay": 0.1}, "adamw"),
        ({"warmup_steps": 1, "warmup_epochs": 1}, "either warmup_steps or warmup_epochs"),
        ({"schedule": "cyclical", "warmup_steps": 1}, "no warm-up"),
        ({"cycles": 2}, "the schedule is cosine"),
        ({"oversample": {"a": 2}, "undersample": {"a": 0.5}}, "class a stands in oversample and in undersample"),
        ({"undersample": {"a": 2}}, "<= 1"),
        ({"precision": "float16"}, "mixed_float16"),
        ({"optimizer": "lion"}, "rmsprop"),
    ],
)
def test_what_does_not_go_together_is_refused(values, words):
    with pytest.raises(UsageError, match=words):
        convert(values, TrainSettings, "test", "train")


def test_weight_decay_has_a_default_by_optimizer():
    decays = {name: TrainSettings(optimizer=name).decay for name in ("adamw", "adam", "sgd", "rmsprop")}
    assert decays == {"adamw": 1e-4, "adam": 0, "sgd": 1e-4, "rmsprop": 1e-4}
    assert TrainSettings(optimizer="adam", weight_decay=0.0).decay == 0
    assert TrainSettings(weight_decay=0.5).decay == 0.5


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


def _factors(data, names, **settings):
    return image_factors(data, names, TrainSettings(**settings))


def test_an_images_factor_is_the_largest_of_its_classes():
    data = _data(labels=[0, 1, 0, -1], offsets=[0, 2, 3, 3, 4])
    np.testing.assert_array_equal(_factors(data, ["a", "rare"], oversample={"rare": 8.0}), [8, 1, 1, 1])
    np.testing.assert_array_equal(_factors(data, ["a", "rare"]), [1, 1, 1, 1])


def test_repeat_factors_come_from_how_many_images_hold_a_class():
    data = _data(labels=[0, 0, 1, *[0] * 15], offsets=[0, 3, *range(4, 19)])  # a in 16 images, the rare class in one
    rare, common = _factors(data, ["a", "rare"], repeat_factor=0.25)[:2]
    assert rare == pytest.approx(2)  # sqrt(.25 / (1 / 16))
    assert common == 1
    both = _factors(data, ["a", "rare"], repeat_factor=0.25, oversample={"a": 3.0})
    np.testing.assert_array_equal(both, 3)
    np.testing.assert_array_equal(_factors(data, ["a", "never"], repeat_factor=1.0)[1:], 1)


def test_of_undersampled_classes_an_epoch_shows_a_share():
    data = _data(labels=[0, 1, 0, -1, 0, 2], offsets=[0, 2, 3, 3, 4, 6])
    factors = _factors(data, ["a", "rare", "b"], undersample={"a": 0.25, "b": 0.5}, oversample={"rare": 4.0})
    np.testing.assert_array_equal(factors, [4, 0.25, 1, 1, 0.5])  # a and rare; a; none; crowd; a and b
    shown = np.concatenate([epoch_order(np.full(100, 0.25), 1, 0, epoch)[0].ravel() for epoch in range(40)])
    assert len(shown) == 1000
    assert np.bincount(shown, minlength=100).min() > 2


def test_class_weights():
    labels = np.array([0] * 90 + [1] * 10 + [-1] * 7, np.int32)
    np.testing.assert_array_equal(class_weights(labels, ["a", "b"], "none"), [1, 1])
    np.testing.assert_array_equal(class_weights(labels, ["a", "b"], {"b": 3.0}), [1, 3])
    np.testing.assert_allclose(class_weights(labels, ["a", "b"], "inverse_frequency"), [0.2, 1.8], atol=1e-6)
    effective = class_weights(labels, ["a", "b"], "effective_number")
    assert effective.mean() == pytest.approx(1)
    assert 0.2 < effective[0] < 1 < effective[1]
    assert np.isfinite(class_weights(labels, ["a", "b", "never"], "inverse_frequency")).all()

import warnings

import numpy as np
import pytest

from detray.detectors.augmentation import augment
from detray.detectors.augmentation.augment import Augmentation
from detray.errors import DetrayError

POLICIES = ("default", "strong")


def _scene():
    """A white block on black, and its box."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[20:40, 30:70] = 255
    return image, np.array([[30, 20, 70, 40]], np.float32), np.array([5], np.int32)


@pytest.fixture(scope="module", params=POLICIES)
def policy(request):
    return Augmentation(request.param)


def test_the_box_goes_with_the_pixels(policy):
    for seed in range(30):
        image, boxes, labels = policy(*_scene(), seed=(0, seed))
        assert image.shape == (64, 96, 3)
        if not len(labels):
            continue
        bright = np.argwhere(image.min(axis=2) > 0.85 * image.max())  # the filled border is darker
        (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
        np.testing.assert_allclose(boxes[0], [left, top, right, bottom], atol=2)
        assert labels.tolist() == [5]


def test_equal_seeds_give_equal_pictures(policy):
    first, again = (policy(*_scene(), seed=(1, 2, 3))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    pictures = {policy(*_scene(), seed=(1, 2, number))[0].tobytes() for number in range(20)}
    assert len(pictures) > 10


def test_the_input_is_left_as_it_was(policy):
    image, boxes, labels = _scene()
    policy(image, boxes, labels, (0, 1))
    for now, before in zip((image, boxes, labels), _scene(), strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_picture_without_boxes(policy):
    _, boxes, labels = policy(_scene()[0], np.zeros((0, 4), np.float32), np.zeros(0, np.int32), (0,))
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)


def test_only_the_strong_policy_moves_boxes_out_of_the_picture():
    corner = np.array([[88, 0, 96, 8]], np.float32)
    label = np.zeros(1, np.int32)
    kept = {
        name: sum(len(Augmentation(name)(_scene()[0], corner, label, (seed,))[1]) for seed in range(40))
        for name in POLICIES
    }
    assert kept["default"] == 40
    assert kept["strong"] < 40


def test_an_unknown_argument_is_an_error(monkeypatch):
    monkeypatch.setattr(augment, "_transforms", lambda library, policy: [library.HorizontalFlip(probability=0.5)])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.raises(DetrayError, match="probability"):
            Augmentation("default")


def test_another_release_is_refused(monkeypatch):
    import albumentations

    monkeypatch.setattr(albumentations, "__version__", "2.0.9")
    with pytest.raises(DetrayError, match=r"pip install albumentations==2\.0\.8"):
        Augmentation("default")

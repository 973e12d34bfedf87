"""Pixels become the very values that Keras's own preprocessing gives."""

from typing import get_args

import numpy as np
import pytest

from detray.detectors.io import InputRange
from detray.detectors.ranges import RANGES, Scaling
from detray.detectors.runtime import tensorflow

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)


@pytest.mark.parametrize(("name", "mode"), [("caffe", "caffe"), ("torch", "torch"), ("-1..1", "tf")])
def test_as_keras_preprocesses(name: InputRange, mode: str) -> None:
    tensorflow()
    from keras.src.applications.imagenet_utils import preprocess_input

    expected = preprocess_input(PIXELS.astype(np.float32), mode=mode)
    np.testing.assert_allclose(RANGES[name](PIXELS), expected, atol=1e-4)


def test_ranges_are_known_by_their_values() -> None:
    assert set(RANGES) == set(get_args(InputRange))
    for name, scaling in RANGES.items():
        assert scaling.name == name
        assert scaling(PIXELS).dtype == np.float32
    assert Scaling.normalising((127, 127, 127), (128, 128, 128)).name == "-1..1"
    assert Scaling.normalising((90, 90, 90), (128, 128, 128)).name == "own"
    np.testing.assert_allclose(RANGES["vgg"](PIXELS)[..., ::-1], RANGES["caffe"](PIXELS))
    np.testing.assert_array_equal(RANGES["0..255"](PIXELS), PIXELS)
    np.testing.assert_allclose(RANGES["0..1"](PIXELS) * 255, PIXELS, rtol=1e-6)

"""Levels by input size; anchors that are written out, or fitted to boxes."""

import numpy as np
import pytest
from drawn import CLASSES, DETECTOR
from msgspec.structs import replace

from detray.detectors.data import CROWD, TrainingData
from detray.detectors.retinanet.anchors import anchor_shapes, make_anchors
from detray.detectors.retinanet.fitting import fitted, reached
from detray.detectors.retinanet.network import build_network
from detray.detectors.settings import AnchorSettings, DetectorSettings, TrainSettings
from detray.detectors.training.loop import train
from detray.errors import DetrayError, UsageError
from detray.settings import convert

AUTO = DetectorSettings(input_height=256, input_width=512, anchors="auto")


def _boxes(sides: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros_like(sides), sides], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("height", "width", "top"), [(32, 32, 5), (192, 256, 5), (224, 640, 5), (256, 256, 6), (480, 640, 6), (512, 512, 7)]
)
def test_levels_follow_the_input(height, width, top):
    assert list(DetectorSettings(input_height=height, input_width=width).levels) == list(range(3, top + 1))


def test_the_default_network_is_the_one_there_was():
    """Three levels, three squares a cell: as models that were trained before have them."""
    shapes = anchor_shapes(DetectorSettings())
    assert {level: sides[0] for level, sides in shapes.items()} == {3: (16, 16), 4: (32, 32), 5: (64, 64)}
    assert len(make_anchors(DetectorSettings())) == 3 * (24 * 32 + 12 * 16 + 6 * 8)
    assert len(build_network(DetectorSettings(), 2).get_weights()) == 49


def test_outputs_are_as_many_as_anchors_at_every_level():
    detector = DetectorSettings(input_height=160, input_width=288, top_level=7, anchors=AnchorSettings(sizes=((9.0, 12.0),), aspects=(0.5, 2.0)))  # fmt: skip # noqa: E501
    anchors = make_anchors(detector)
    assert len(anchors) == 4 * (20 * 36 + 10 * 18 + 5 * 9 + 3 * 5 + 2 * 3)
    picture = np.zeros((1, 160, 288, 3), np.uint8)
    assert build_network(detector, 2)(picture)["boxes"].shape == (1, len(anchors), 4)


def test_sizes_come_with_each_aspect_and_double_by_level():
    shapes = anchor_shapes(replace(DETECTOR, anchors=AnchorSettings(sizes=((8.0,),), aspects=(1.0, 4.0))))
    assert shapes == {3: ((8, 8), (16, 4)), 4: ((16, 16), (32, 8)), 5: ((32, 32), (64, 16))}


@pytest.mark.parametrize(
    ("anchors", "says"),
    [
        ({}, "either sizes or shapes"),
        ({"sizes": [[8]], "shapes": [[[8, 8]]]}, "either sizes or shapes"),
        ({"sizes": [[8], [16, 20], [32]]}, "as many anchors at each level"),
        ({"sizes": [[]]}, "as many anchors at each level"),
        ({"sizes": [[8], [16]]}, "anchors for the 3 levels 3 to 5, got 2 lists"),
        ({"sizes": [[0]]}, "> 0"),
        ({"sizes": [[8]], "aspect": [1]}, "did you mean 'aspects'"),
    ],
)
def test_anchors_that_cannot_be_are_refused(anchors, says):
    with pytest.raises(UsageError, match=says):
        convert({"anchors": anchors}, DetectorSettings, "a.yaml", "detector")


def test_a_level_that_does_not_fit_into_the_input_is_refused():
    with pytest.raises(UsageError, match=r"cells of 128 px fit into the input, of which one side has 96 px"):
        convert({"input_height": 96, "top_level": 7}, DetectorSettings, "a.yaml", "detector")


def test_anchors_are_fitted_to_the_boxes_of_each_level():
    """Three shapes at two scales: found, whatever the order, and reached where squares do not reach them."""
    random = np.random.default_rng(0)
    kinds = np.array([[6, 6], [30, 6], [5, 28], [80, 20], [22, 90], [50, 50]])
    sides = kinds[random.integers(0, 6, 3000)] * np.exp(random.normal(0, 0.03, (3000, 2)))
    found = fitted(AUTO, _boxes(sides))
    assert found.default < 0.4
    assert found.reached > 0.99
    shapes = np.array([shape for level in anchor_shapes(found.detector).values() for shape in level])
    for kind in kinds:
        assert np.abs(np.log(shapes / kind)).max(axis=1).min() < 0.05
    again = fitted(AUTO, _boxes(random.permutation(sides)))
    np.testing.assert_allclose(again.reached, found.reached, atol=1e-3)
    assert fitted(found.detector, _boxes(sides[:5])).detector == found.detector, "what is fitted stays"


def test_fitting_never_reaches_less_and_needs_boxes():
    squares = np.repeat(np.array([[16.0, 16], [20.16, 20.16], [32, 32]]), 4, axis=0)
    found = fitted(AUTO, _boxes(squares))
    assert found.default == found.reached == 1
    assert fitted(AUTO, np.zeros((0, 4), np.float32)).reached is None
    assert fitted(AUTO, np.zeros((0, 4), np.float32)).detector.anchors == "default"
    assert reached(np.array([[1000.0, 1000]]), anchor_shapes(DETECTOR)) == 0
    with pytest.raises(DetrayError, match="only a training fits"):
        make_anchors(AUTO)


def test_a_model_keeps_the_anchors_that_its_training_fitted(data: TrainingData, eager: None):
    end = data.offsets[2]
    few = replace_data(data, 2, end)
    model = train(few, None, replace(DETECTOR, anchors="auto"), TrainSettings(epochs=1, batch_size=2), CLASSES).model
    expected = fitted(replace(DETECTOR, anchors="auto"), few.boxes[few.labels != CROWD]).detector
    assert model.settings == expected
    assert model.settings.top_level == 5


def replace_data(data: TrainingData, count: int, end: int) -> TrainingData:
    return TrainingData(
        data.images[:count], data.image_ids[:count], data.sizes[:count], data.boxes[:end], data.labels[:end],
        data.offsets[: count + 1], data.quarantine, {},
    )  # fmt: skip

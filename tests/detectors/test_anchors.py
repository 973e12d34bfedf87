import numpy as np
from drawn import DETECTOR
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detray.boxes import from_corners, pairwise_iou
from detray.detectors.data import CROWD
from detray.detectors.retinanet.anchors import BACKGROUND, IGNORED, encode, iou, make_anchors, match

ANCHORS = make_anchors(DETECTOR)
corners = arrays(np.float32, (3, 4), elements=st.integers(0, 40)).map(
    lambda values: np.concatenate([values[:, :2], values[:, :2] + 1 + values[:, 2:]], axis=1)
)


def test_anchors_cover_three_levels_of_squares_from_twice_the_stride():
    assert len(ANCHORS) == 3 * (8 * 12 + 4 * 6 + 2 * 3)
    sides = np.unique(np.round(ANCHORS[:, 2] - ANCHORS[:, 0], 3))
    np.testing.assert_allclose(sides, [16 * 2 ** (octave / 3) for octave in range(9)], atol=1e-3)
    np.testing.assert_array_equal(ANCHORS[0], [-4, -4, 12, 12])  # the first cell's centre is (4, 4)


@given(corners, corners)
def test_iou_is_that_of_the_evaluation(a, b):
    expected = pairwise_iou(from_corners(b.astype(np.float64)), from_corners(a.astype(np.float64)))
    np.testing.assert_allclose(iou(a, b), expected, atol=1e-6)


def test_an_anchor_that_is_the_box_learns_it_and_far_ones_are_background():
    classes, encoded = match(ANCHORS, ANCHORS[100:101], np.array([1], np.int32), CROWD)
    assert classes[100] == 1
    np.testing.assert_array_equal(encoded[100], 0)
    assert (classes[-1], classes[0]) == (BACKGROUND, BACKGROUND)
    assert (encoded[classes < 0] == 0).all()


def test_a_box_that_no_anchor_fits_still_has_its_best_one():
    classes, encoded = match(ANCHORS, np.array([[10, 10, 13, 13]], np.float32), np.array([0], np.int32), CROWD)
    assert (classes == 0).sum() == 1
    assert encoded[classes == 0][0, 2] < -5  # much smaller than its anchor


def test_anchors_between_the_thresholds_are_ignored():
    box = ANCHORS[100:101]
    overlap = iou(ANCHORS, box)[0]
    classes, _ = match(ANCHORS, box, np.array([0], np.int32), CROWD)
    np.testing.assert_array_equal(classes[(overlap >= 0.4) & (overlap < 0.5)], IGNORED)
    np.testing.assert_array_equal(classes[overlap < 0.4], BACKGROUND)
    np.testing.assert_array_equal(classes[overlap >= 0.5], 0)


def test_anchors_inside_a_crowd_are_ignored_unless_they_hold_an_object():
    boxes = np.array([[0, 0, 96, 64], [*ANCHORS[100]]], np.float32)
    classes, _ = match(ANCHORS, boxes, np.array([CROWD, 1], np.int32), CROWD)
    assert classes[100] == 1
    inside = (ANCHORS[:, :2] >= 0).all(axis=1) & (ANCHORS[:, 2] <= 96) & (ANCHORS[:, 3] <= 64)
    assert set(classes[inside]) == {IGNORED, 1}


def test_no_boxes_is_all_background():
    classes, _ = match(ANCHORS, np.zeros((0, 4), np.float32), np.zeros(0, np.int32), CROWD)
    assert (classes == BACKGROUND).all()


@given(corners)
def test_encoding_is_undone_by_its_formula(boxes):
    anchors = ANCHORS[:3]
    encoded = encode(boxes, anchors) * np.array([0.1, 0.1, 0.2, 0.2])
    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2 + encoded[:, :2] * sizes
    half = np.exp(encoded[:, 2:]) * sizes / 2
    np.testing.assert_allclose(np.concatenate([centres - half, centres + half], axis=1), boxes, atol=1e-3)

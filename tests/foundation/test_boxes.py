"""Box geometry against pycocotools, to the bit."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays
from pycocotools import mask

from detray import boxes

side = st.floats(0, 500, width=32).map(float)
some_boxes = st.integers(1, 6).flatmap(lambda n: arrays(np.float64, (n, 4), elements=side))


@given(some_boxes, some_boxes, st.integers(0, 2**6 - 1))
def test_pairwise_iou_is_pycocotools_bit_for_bit(a: np.ndarray, b: np.ndarray, flags: int) -> None:
    crowd = np.array([bool(flags >> i & 1) for i in range(len(b))])
    expected = mask.iou(a, b, crowd.astype(np.uint8).tolist())
    expected = np.where(np.isnan(expected), 0.0, expected)  # 0/0 of two boxes without area
    np.testing.assert_array_equal(boxes.pairwise_iou(a, b, crowd), expected)


def test_known_overlaps() -> None:
    a = np.array([[0.0, 0, 10, 10]])
    b = np.array([[0.0, 0, 10, 10], [5, 0, 10, 10], [10, 0, 10, 10], [0, 0, 100, 100]])
    np.testing.assert_allclose(boxes.pairwise_iou(a, b)[0], [1, 1 / 3, 0, 0.01])
    np.testing.assert_allclose(boxes.pairwise_iou(a, b, np.array([False, True, True, True]))[0], [1, 0.5, 0, 1])


@given(some_boxes)
def test_corners_and_back(a: np.ndarray) -> None:
    np.testing.assert_allclose(boxes.from_corners(boxes.to_corners(a)), a, atol=1e-9)

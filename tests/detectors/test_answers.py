"""Boxes in any order, unit and resizing come back to the pixels of the picture."""

from typing import get_args

import numpy as np
import pytest

from detray.detectors.answers import Answer, detections
from detray.detectors.detector import Prepared
from detray.detectors.inputs import Crop, Letterbox, place, preparation
from detray.detectors.io import BoxOrder, BoxUnit, Layout, Resize
from detray.detectors.settings import PredictSettings

PREDICT = PredictSettings(score_threshold=0.1, max_detections=3)


def layout(order: BoxOrder = "xyxy", unit: BoxUnit = "pixel", resize: Resize = "stretch") -> Layout:
    return Layout("test", "", "uint8", 1, 40, 60, resize, "0..255", order, unit, 0, True)


@pytest.mark.parametrize("size", [(50, 80), (80, 50), (7, 9), (400, 40)], ids=str)
@pytest.mark.parametrize("resize", get_args(Resize))
@pytest.mark.parametrize("unit", get_args(BoxUnit))
@pytest.mark.parametrize("order", get_args(BoxOrder))
def test_a_box_comes_back(order: BoxOrder, unit: BoxUnit, resize: Resize, size: tuple[int, int]) -> None:
    height, width = size
    corners = np.array([width * 0.45, height * 0.4, width * 0.55, height * 0.6])
    where = place(width, height, 60, 40, resize)
    seen = corners * np.tile(where.scale, 2) + np.tile(where.offset, 2)
    box = {"pixel": corners, "input_pixel": seen, "share": seen / np.tile((60, 40), 2)}[unit]
    if (resize, unit) == ("none", "share"):
        box = corners / np.tile((width, height), 2)
    left, top, right, bottom = box
    box = {
        "yxyx": [top, left, bottom, right],
        "xyxy": [left, top, right, bottom],
        "xywh": [left, top, right - left, bottom - top],
        "cxcywh": [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top],
    }[order]
    answer = Answer(np.array([box]), np.array([0.9]), np.array([4.0118]))
    picture = Prepared(np.zeros(0, np.uint8), width, height)
    found = detections([answer], [picture], layout(order, unit, resize), PREDICT)
    np.testing.assert_allclose(found.boxes[0], [*corners[:2], *(corners[2:] - corners[:2])], rtol=1e-9)
    assert found.category_id.tolist() == [4]


def test_what_counts_is_finite_above_the_threshold_and_best_first() -> None:
    boxes = np.tile([1.0, 1.0, 2.0, 2.0], (7, 1))
    boxes[1, 0] = np.nan
    scores = np.array([0.1, 0.99, 0.5, 0.7, np.nan, 0.7, 0.2])
    answer = Answer(boxes, scores, np.arange(7.0))
    nothing = Answer(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    picture = Prepared(np.zeros(0, np.uint8), 60, 40)
    found = detections([nothing, answer, nothing, answer], [picture] * 4, layout(), PREDICT)
    assert found.category_id.tolist() == [3, 5, 2] * 2
    assert found.image.tolist() == [1, 1, 1, 3, 3, 3]
    assert found.rank.tolist() == [1, 2, 3] * 2
    assert len(detections([], [], layout(), PREDICT).scores) == 0


@pytest.mark.parametrize("size", [(50, 80), (90, 30), (1, 1), (3, 3000)], ids=str)
def test_pictures_lie_where_their_place_says(size: tuple[int, int]) -> None:
    height, width = size
    picture = np.full((height, width, 3), 200, np.uint8)
    boxed = Letterbox(40, 60, fill=0)(picture).pixels
    where = place(width, height, 60, 40, "letterbox")
    rows, columns = np.flatnonzero(boxed.any(axis=(1, 2))), np.flatnonzero(boxed.any(axis=(0, 2)))
    assert (columns[0], rows[0]) == where.offset
    assert columns[-1] + 1 - columns[0] == pytest.approx(width * where.scale[0])
    assert rows[-1] + 1 - rows[0] == pytest.approx(height * where.scale[1])
    assert (Crop(40, 60)(picture).pixels == 200).all()
    assert boxed.shape == Crop(40, 60)(picture).pixels.shape == (40, 60, 3)
    assert preparation(layout(resize="none"))(picture).pixels.shape == picture.shape
    assert preparation(layout(resize="letterbox")) == Letterbox(40, 60)

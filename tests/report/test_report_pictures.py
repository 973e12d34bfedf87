"""Pictures: the part that is shown holds the box, the pixels are those of the file, and limits hold."""

import base64
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detray.report import pictures
from detray.report.pictures import Album, Figure, Mark, draw, place, region

sides = st.floats(0, 300)
places = st.floats(-400, 700)


@given(places, places, sides, sides, st.integers(16, 400), st.integers(16, 400))
def test_a_close_up_holds_its_box_and_some_of_the_picture(
    x: float, y: float, wide: float, high: float, width: int, height: int
) -> None:
    left, top, view_width, view_height = region((x, y, wide, high), width, height)
    assert view_width > 0
    assert view_height > 0
    assert left < width
    assert top < height
    assert left + view_width > 0
    assert top + view_height > 0
    assert max(view_width, view_height) <= 2 * max(width, height)
    if x >= 0 and y >= 0 and x + wide <= width and y + high <= height:
        assert -1e-9 <= left <= x + 1e-9
        assert -1e-9 <= top <= y + 1e-9
        assert x + wide <= left + view_width + 1e-6 <= width + 1e-5
        assert y + high <= top + view_height + 1e-6 <= height + 1e-5


@pytest.mark.parametrize("focus", [None, (math.nan, 0.0, 1.0, 1.0), (0.0, math.inf, 1.0, 1.0)])
def test_without_a_finite_box_the_whole_picture_is_shown(focus: tuple[float, float, float, float] | None) -> None:
    assert region(focus, 40, 30) == (0, 0, 40, 30)


def _picture(folder: Path, width: int = 600, height: int = 400) -> str:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (0, 0, 250)  # left half red (BGR)
    cv2.imwrite(str(folder / "a.png"), pixels)
    return str(folder / "a.png")


def test_pixels_are_cropped_and_scaled_where_the_view_says(tmp_path: Path) -> None:
    path = _picture(tmp_path)
    figures = [Figure(0, path, "a.png"), Figure(1, path, "a.png", (), (500.0, 100.0, 20.0, 20.0))]
    drawn = place(figures, draw(figures))
    whole = cv2.imdecode(np.frombuffer(base64.b64decode(drawn[0].uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    assert drawn[0].view == drawn[0].place == (0, 0, 600, 400)
    assert max(whole.shape[:2]) == 600  # no larger than it is, or `pictures.MAX_WHOLE`
    assert whole[10, 10].tolist()[2] > 230
    assert whole[10, -10].max() < 20
    crop = cv2.imdecode(np.frombuffer(base64.b64decode(drawn[1].uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape[:2] == (150, 150)
    assert drawn[1].place == (435, 35, 150, 150)
    assert crop.max() < 20


def test_a_picture_that_cannot_be_read_says_why_and_its_boxes_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    marks = (Mark((10.0, 10.0, 200.0, 40.0), "fault", "cat"),)
    figures = [
        Figure(0, str(tmp_path / "gone.jpg"), "gone.jpg", marks),
        Figure(1, str(tmp_path / "broken.jpg"), "broken.jpg", marks),
        Figure(2, None, None, marks),
    ]
    drawn = place(figures, draw(figures))
    assert "missing" in (drawn[0].problem or "")
    assert "not a picture" in (drawn[1].problem or "")
    assert "no image folder" in (drawn[2].problem or "")
    for figure in drawn.values():
        assert figure.uri is None
        assert figure.view[2] >= 210
        assert [text.mark.label for text in figure.texts] == ["cat"]


def test_a_box_far_outside_does_not_shrink_the_picture(tmp_path: Path) -> None:
    figures = [Figure(0, _picture(tmp_path), "a.png", (), (90_000.0, 10.0, 50.0, 50.0))]
    drawn = place(figures, draw(figures))[0]
    assert drawn.uri is not None
    assert drawn.view[2] <= 600
    assert drawn.view[0] < 600


def test_the_bytes_of_a_page_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _picture(tmp_path)
    figures = [Figure(key, path, "a.png") for key in range(4)]
    rows = draw(figures)
    one = len(rows["jpeg"][0].as_py()) * 4 // 3
    monkeypatch.setattr(pictures, "PAGE_BYTES", 2 * one + 500)
    drawn = place(figures, rows)
    assert [drawn[key].uri is not None for key in range(4)] == [True, True, False, False]
    assert "full" in (drawn[3].problem or "")


def test_an_album_that_is_full_counts_what_it_leaves_out() -> None:
    album = Album(2)
    assert [album.add(None, None, ()) for _ in range(4)] == [0, 1, None, None]
    assert album.left_out == 2


def test_labels_stay_in_the_view() -> None:
    marks = (Mark((0.0, 0.0, 5.0, 5.0), "missed", "corner"), Mark((95.0, 50.0, 5.0, 5.0), "missed", "right"))
    shown = pictures.Drawn(Figure(0, None, None, marks), (0.0, 0.0, 100.0, 100.0), None, None, None, 4.0)
    corner, right = shown.texts
    assert corner.y > 3
    assert (right.anchor, right.x) == ("end", 100.0)

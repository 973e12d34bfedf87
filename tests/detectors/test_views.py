"""Views of pictures: what they cover, how boxes come back, and what stays of what is found in several."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from colours import GREEN, INPUT, RED, Colours, picture
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from msgspec.structs import replace

from detray.boxes import to_corners
from detray.detectors.settings import NmsSettings, PredictSettings, TilesSettings
from detray.detectors.viewed import AcrossClasses, Viewed, as_it_is, pictures_at_once, prepare_of, wrapped
from detray.detectors.views import View, merge, views_of


def settings(**tiles: float) -> PredictSettings:
    return PredictSettings(tiles=TilesSettings(**tiles), batch_size=3)  # type: ignore[arg-type]


@limits(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(32, 120), st.integers(32, 120), st.floats(0, 0.6))
def test_tiles_cover_the_picture_and_overlap_enough(
    width: int, height: int, wide: int, high: int, overlap: float
) -> None:
    views = list(views_of(width, height, settings(width=wide, height=high, overlap=overlap, whole=False)))
    seen = np.zeros((height, width), int)
    for view in views:
        assert (view.width, view.height) == (min(wide, width), min(high, height))
        assert view.left + view.width <= width
        assert view.top + view.height <= height
        seen[view.top : view.top + view.height, view.left : view.left + view.width] += 1
    assert seen.min() >= 1
    lefts = sorted({view.left for view in views})
    shared = [a + min(wide, width) - b for a, b in pairwise(lefts)]
    assert all(n >= int(wide * overlap) - 1 for n in shared)
    assert len(set(views)) == len(views)


def test_which_views_there_are() -> None:
    whole, mirrored = View(0, 0, 100, 50), View(0, 0, 100, 50, is_mirrored=True)
    assert list(views_of(100, 50, PredictSettings())) == [whole]
    assert list(views_of(100, 50, PredictSettings(flip=True))) == [whole, mirrored]
    assert list(views_of(100, 50, settings(width=100, height=50))) == [whole]
    assert list(views_of(100, 50, settings(width=60, height=64, overlap=0.1))) == [
        whole, View(0, 0, 60, 50), View(40, 0, 60, 50),
    ]  # fmt: skip


@given(st.booleans(), st.integers(0, 40), st.integers(0, 30), st.integers(1, 20), st.integers(1, 20))
def test_boxes_come_back_to_where_they_are(is_mirrored: bool, x: int, y: int, wide: int, high: int) -> None:
    view = View(5, 7, 60, 50, is_mirrored)
    pixels = picture(100, 80, (5 + x, 7 + y, wide, high, RED))
    rows, columns = np.nonzero(view.of(pixels)[:, :, 0] == 220)
    box = np.array([[columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]], np.float64)
    assert view.in_picture(box).tolist() == [[5 + x, 7 + y, wide, high]]


def test_small_objects_are_found_in_tiles_alone() -> None:
    pixels = picture(640, 480, (100, 50, 20, 22, RED), (500, 400, 24, 20, GREEN))
    detector = Colours()
    assert not len(detector.detect([detector.prepare(pixels)]).scores)
    found = wrapped(detector, settings(width=160, height=160)).detect([as_it_is(pixels)])
    assert found.category_id.tolist() == [0, 1]
    np.testing.assert_allclose(found.boxes, [[100, 50, 20, 22], [500, 400, 24, 20]], atol=3)
    assert found.rank.tolist() == [1, 2]


def test_what_a_tile_cuts_does_not_stand_beside_the_whole() -> None:
    pixels = picture(200, 100, (60, 20, 60, 60, RED), (130, 20, 40, 40, GREEN))
    tiles = settings(width=100, height=100, overlap=0.0)
    found = wrapped(Colours(), tiles).detect([as_it_is(pixels)])
    assert sorted(found.category_id.tolist()) == [0, 1]
    np.testing.assert_allclose(found.boxes[found.category_id == 0], [[60, 20, 60, 60]], atol=4)
    # with no whole picture the pieces are all there is
    pieces = wrapped(Colours(), settings(width=100, height=100, overlap=0.0, whole=False)).detect([as_it_is(pixels)])
    assert sorted(pieces.category_id.tolist()) == [0, 0, 1]


@pytest.mark.parametrize("predict", [PredictSettings(flip=True, batch_size=3), settings(width=96, height=64)])
def test_a_picture_is_found_the_same_in_any_company(predict: PredictSettings) -> None:
    generator = np.random.default_rng(5)
    pictures = []
    for _ in range(4):
        width, height = (int(n) for n in generator.integers(60, 260, 2))
        x, y = int(generator.integers(0, width - 40)), int(generator.integers(0, height - 40))
        pictures.append(as_it_is(picture(width, height, (x, y, 30, 30, RED))))
    detector = Colours()
    together = wrapped(detector, predict).detect(pictures)
    assert max(detector.batches) == 3
    for number, one in enumerate(pictures):
        alone, own = wrapped(Colours(), predict).detect([one]), together.image == number
        np.testing.assert_array_equal(together.boxes[own], alone.boxes)
        np.testing.assert_array_equal(together.scores[own], alone.scores)
        assert alone.boxes.shape == (1, 4)
    assert not len(wrapped(Colours(), predict).detect([]).scores)


def test_a_mirrored_look_finds_the_same_once() -> None:
    pixels = picture(128, 64, (10, 10, 40, 30, RED), (80, 5, 20, 50, GREEN))
    plain = Colours().detect([Colours().prepare(pixels)])
    found = wrapped(Colours(), PredictSettings(flip=True)).detect([as_it_is(pixels)])
    order = np.argsort(found.category_id)
    np.testing.assert_allclose(found.boxes[order], plain.boxes, atol=1e-9)


def test_classes_suppress_each_other_where_that_is_asked_for() -> None:
    pixels = picture(64, 64, (8, 8, 40, 40, RED))
    pixels[10:46, 10:46:2] = GREEN
    plain = Colours().detect([Colours().prepare(pixels)])
    assert plain.category_id.tolist() == [0, 1]
    across = PredictSettings(nms=NmsSettings(mode="across"))
    detector = wrapped(Colours(), across)
    assert isinstance(detector, AcrossClasses)
    found = detector.detect([detector.prepare(pixels)] * 2)
    assert (found.image.tolist(), found.category_id.tolist(), found.rank.tolist()) == ([0, 1], [0, 0], [1, 1])
    tiled = PredictSettings(nms=NmsSettings(mode="across"), flip=True)
    assert wrapped(Colours(), tiled).detect([as_it_is(pixels)]).category_id.tolist() == [0]


def test_what_is_not_asked_for_changes_nothing() -> None:
    detector = Colours()
    assert wrapped(detector, PredictSettings()) is detector
    assert prepare_of(INPUT, PredictSettings()) is INPUT
    assert isinstance(wrapped(detector, PredictSettings(flip=True)), Viewed)
    for predict in (PredictSettings(flip=True), settings()):
        prepare = pickle.loads(pickle.dumps(prepare_of(INPUT, predict)))  # noqa: S301 - our own
        assert prepare(picture(30, 20)).pixels.shape == (20, 30, 3)
    assert [pictures_at_once(16, one) for one in (PredictSettings(), PredictSettings(flip=True), settings())] == [
        16,
        8,
        4,
    ]
    assert pictures_at_once(1, settings()) == 1


BOXES = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 5.5], [50, 50, 9, 9]], np.float64)


@pytest.mark.parametrize(
    ("scores", "classes", "cut", "kept"),
    [
        ([0.5, 0.9, 0.1, 0.2], [1, 1, 1, 1], [False, True, True, True], [0, 3]),  # pieces of a whole one
        ([0.1, 0.9, 0.2, 0.2], [1, 1, 1, 1], [False, True, True, False], [1, 3, 0]),  # that is noise
        ([0.5, 0.9, 0.1, 0.2], [1, 2, 2, 1], [False, True, True, True], [1, 0, 3]),  # of another class
        ([0.5, 0.9, 0.1, 0.2], [1, 1, 1, 1], [False, False, True, False], [1, 0, 3]),
    ],
)
def test_merging(scores: list[float], classes: list[int], cut: list[bool], kept: list[int]) -> None:
    found = merge(to_corners(BOXES), np.array(scores), np.array(classes), np.array(cut), NmsSettings(), 10)
    assert found.tolist() == kept
    assert (
        merge(to_corners(BOXES), np.array(scores), np.array(classes), np.array(cut), NmsSettings(), 1).tolist()
        == kept[:1]
    )


def test_where_nothing_is_suppressed_nothing_is_merged() -> None:
    pixels = picture(200, 100, (60, 20, 60, 60, RED))
    tiles = settings(width=100, height=100, overlap=0.0)
    assert wrapped(Colours(), tiles).detect([as_it_is(pixels)]).category_id.tolist() == [0]
    found = wrapped(Colours(), replace(tiles, nms=NmsSettings(mode="none"))).detect([as_it_is(pixels)])
    assert found.category_id.tolist() == [0, 0, 0]
    assert sorted(found.scores, reverse=True) == found.scores.tolist()

"""The kernel against pycocotools, and the known values that fix its order."""

import numpy as np
import pytest
from coco_oracle import as_coco, evaluate, scenes
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detray.evaluate.kernel import Detections, GroundTruth, class_average_precision, match
from detray.evaluate.kernel.accumulate import needed_hits
from detray.evaluate.kernel.order import falling, pair_codes, places, runs, stable_argsort


def truth(boxes: list[list[float]], crowd: list[bool] | None = None, area: list[float] | None = None) -> GroundTruth:
    box = np.array(boxes, float).reshape(-1, 4)
    ones = np.ones(len(box), np.int64)
    flags = np.array(crowd) if crowd else np.zeros(len(box), bool)
    return GroundTruth(ones, ones, box, np.array(area) if area else box[:, 2] * box[:, 3], flags)


def found(boxes: list[list[float]], scores: list[float], image: list[int] | None = None) -> Detections:
    box = np.array(boxes, float).reshape(-1, 4)
    ones = np.ones(len(box), np.int64)
    where = np.array(image) if image else ones
    return Detections(where, ones, box, np.array(scores), np.arange(len(box)) + 1)


def of_class(rows: GroundTruth | Detections, number: int) -> GroundTruth | Detections:
    mask = rows.category == number
    return type(rows)(*(getattr(rows, name)[mask] for name in list(rows.__dataclass_fields__)[:5]))


@settings(max_examples=80, deadline=None)
@given(scenes())
def test_matches_equal_pycocotools_bit_for_bit(scene: tuple[GroundTruth, Detections]) -> None:
    gt, dt = scene
    result = match(gt, dt)
    oracle = evaluate(*as_coco(gt, dt))
    row_of = np.argsort(dt.rank)  # pycocotools numbers detections from 1 in the order of the source
    ranges = [tuple(limits) for limits in oracle.params.areaRng]
    seen = np.zeros(len(dt), bool)
    for image in oracle.evalImgs:
        if image is None:
            continue
        area = ranges.index(tuple(image["aRng"]))
        for column, number in enumerate(image["dtIds"]):
            row = row_of[number - 1]
            seen[row] = True
            assert result.class_rank[row] == column + 1
            for level in range(10):
                assert bool(result.matched[row, area] >> level & 1) == (image["dtMatches"][level, column] > 0)
                assert bool(result.ignored[row, area] >> level & 1) == bool(image["dtIgnore"][level, column])
            if area == 0:
                assert result.box[row] + 1 == image["dtMatches"][0, column]
    assert (seen == result.kept).all()
    assert not result.matched[~seen].any()


@settings(max_examples=50, deadline=None)
@given(scenes())
def test_class_average_precision_equals_pycocotools(scene: tuple[GroundTruth, Detections]) -> None:
    gt, dt = scene
    oracle = evaluate(*as_coco(gt, dt))
    for index, number in enumerate(oracle.params.catIds):
        expected = oracle.eval["precision"][:, :, index, 0, 2].mean(axis=1)
        ours = class_average_precision(of_class(gt, number), of_class(dt, number))
        np.testing.assert_allclose(ours, np.where(expected < 0, np.nan, expected), rtol=0, atol=1e-15)


BOX, AWAY = [0, 0, 10, 10], [50, 50, 10, 10]


def test_a_crowd_region_absorbs_any_number_of_detections() -> None:
    gt = truth([AWAY, [0, 0, 40, 40]], crowd=[False, True])
    dt = found([[1, 1, 9, 9], [5, 5, 9, 9], [20, 20, 9, 9], AWAY], [0.9, 0.8, 0.7, 0.6])
    assert class_average_precision(gt, dt) == pytest.approx(1)


def test_a_false_positive_above_a_hit_halves_ap() -> None:
    assert class_average_precision(truth([BOX]), found([AWAY, BOX], [0.9, 0.8]))[0] == pytest.approx(0.5)


def test_equal_scores_in_an_image_keep_the_order_of_the_source() -> None:
    assert class_average_precision(truth([BOX]), found([AWAY, BOX], [0.5, 0.5]))[0] == pytest.approx(0.5)
    assert class_average_precision(truth([BOX]), found([BOX, AWAY], [0.5, 0.5]))[0] == pytest.approx(1)


def test_equal_scores_across_images_go_by_image_id() -> None:
    hit_later = found([AWAY, BOX], [0.5, 0.5], image=[0, 1])
    hit_first = found([AWAY, BOX], [0.5, 0.5], image=[2, 1])
    assert class_average_precision(truth([BOX]), hit_later)[0] == pytest.approx(0.5)
    assert class_average_precision(truth([BOX]), hit_first)[0] == pytest.approx(1)


def test_the_101st_detection_is_cut() -> None:
    dt = found([AWAY] * 100 + [BOX], [0.5] * 101)
    assert (class_average_precision(truth([BOX]), dt) == 0).all()
    assert (class_average_precision(truth([BOX]), dt, max_detections=101) > 0).all()
    assert match(truth([BOX]), dt).kept.sum() == 100


def test_area_on_the_border_counts_as_small_and_medium() -> None:
    assert truth([BOX], area=[1024.0]).ignored().tolist() == [[False, False, False, True]]


def test_on_equal_iou_the_later_box_is_taken() -> None:
    result = match(truth([[0, 0, 10, 10], [2, 0, 10, 10]]), found([[1, 0, 10, 10]], [0.9]))
    assert result.box.tolist() == [1]
    assert result.detection.tolist() == [-1, 0]


def test_no_boxes_give_nan_and_no_detections_zero() -> None:
    assert np.isnan(class_average_precision(truth([]), found([BOX], [0.5]))).all()
    assert (class_average_precision(truth([BOX]), found([], [])) == 0).all()
    assert np.isnan(class_average_precision(truth([BOX], crowd=[True]), found([BOX], [0.5]))).all()


def test_a_void_box_takes_its_detection_without_making_it_a_match() -> None:
    result = match(truth([BOX]), found([BOX], [0.9]), void=np.array([True]))
    assert result.matched.tolist() == [[0, 0, 0, 0]]
    assert result.ignored[0, 0] == 0
    assert result.ignored[0, 2] == 1023  # unmatched, and not of medium size


def test_a_chain_of_rejected_detections_reaches_its_second_choice() -> None:
    boxes = [[float(2 * k), 0, 20, 10] for k in range(6)]
    ranked = found([boxes[3]] * 6, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    result = match(truth(boxes), ranked)
    taken = result.box[result.box >= 0].tolist()
    assert taken[0] == 3
    assert len(set(taken)) == len(taken) >= 5


@pytest.mark.parametrize("n_gt", [1, 2, 3, 7, 49, 100, 101, 1000, 12345])
def test_needed_hits_are_those_of_a_search_over_all_recalls(n_gt: int) -> None:
    points = np.linspace(0, 1, 101)
    recalls = np.arange(1, n_gt + 1) / n_gt
    expected = np.searchsorted(recalls, points, side="left") + 1
    assert (needed_hits(np.array([n_gt]))[0] == expected).all()


def test_sorting_is_stable_also_where_keys_are_too_wide_to_pack() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, 100)
    for scale in (1, 1 << 59):
        assert (stable_argsort(codes * scale - 3 * scale) == np.argsort(codes, kind="stable")).all()
    scores = rng.integers(0, 4, 100) / 4
    assert (falling(scores) == np.argsort(-scores, kind="stable")).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-1e300, -2.5, -0.0, 0.0, 5e-324, 0.1, np.nextafter(0.1, 1), 1.0, 1e308]), max_size=30))
@example([0.0, -0.0])
def test_scores_fall_stably_within_codes_however_many_bits_these_take(drawn: list[float]) -> None:
    scores = np.array(drawn)
    rows = np.arange(len(scores))
    assert falling(scores).tolist() == np.lexsort((rows, -scores)).tolist()
    for widest in (1, 1 << 40, 1 << 56, 1 << 61):
        codes = (rows % 3) * (widest // 2)
        assert falling(scores, codes).tolist() == np.lexsort((rows, -scores, codes)).tolist()


def test_pair_codes_keep_the_order_of_pairs_however_far_apart_the_ids_are() -> None:
    ids = np.array([-(1 << 62), 0, 5, 1 << 62, 5])
    (codes,) = pair_codes(ids, np.array([0, 1 << 61, 3, -(1 << 61), 2]))
    assert np.argsort(codes).tolist() == [0, 1, 4, 2, 3]


@pytest.mark.parametrize("scale", [1, 1 << 40])
def test_runs_and_places_are_found_however_far_apart_the_codes_are(scale: int) -> None:
    known = np.array([-2, -2, 0, 3, 3, 3]) * scale
    first, count = runs(known, np.array([3, -2, 1, 9, -9, 0]) * scale)
    assert count.tolist() == [3, 2, 0, 0, 0, 1]
    assert first[count > 0].tolist() == [3, 0, 2]
    assert places(np.array([-2, 0, 3]) * scale, known).tolist() == [0, 0, 1, 2, 2, 2]

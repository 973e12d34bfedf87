"""Numbers that pycocotools does not have, against plain loops and known values."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from coco_oracle import as_coco, as_tables, evaluate, scenes
from evaluation import evaluate_tables
from hypothesis import given, settings

from detray.boxes import pairwise_iou
from detray.evaluate.kernel import Detections, GroundTruth, class_average_precision, match
from detray.evaluate.kernel.accumulate import area_under_envelope, true_positives
from detray.evaluate.kernel.weighted import RecallPoints, WeightedRanking
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.tables.bootstrap import interval, weights
from detray.evaluate.tables.comparisons import mean_gain

QUICK = EvaluateSettings(bootstrap=0)
CAT, DOG = 1, 2
Box = tuple[float, float, float, float]
HERE: Box = (0, 0, 10, 10)
THERE: Box = (50, 50, 10, 10)
CLOSE: Box = (0, 0, 10, 7)  # IoU .7 with HERE
NEAR: Box = (0, 0, 10, 4)  # IoU .4 with HERE


def scene(
    boxes: list[tuple[int, int, Box]], found: list[tuple[int, int, Box, float]], **extra: object
) -> list[pa.Table]:
    """Tables of boxes (image, class, box) and detections (image, class, box, score); ``extra`` goes to all boxes."""
    truth = {
        "images": [{"id": number} for number in sorted({1, 2, 3, *(box[0] for box in boxes)})],
        "categories": [{"id": CAT, "name": "cat"}, {"id": DOG, "name": "dog"}],
        "annotations": [
            {"id": row + 1, "image_id": image, "category_id": number, "bbox": list(box), "area": box[2] * box[3]}
            | {"iscrowd": 0}
            | extra
            for row, (image, number, box) in enumerate(boxes)
        ],
    }
    detections = [
        {"image_id": image, "category_id": number, "bbox": list(box), "score": score}
        for image, number, box, score in found
    ]
    return list(as_tables(truth, detections))


def one(table: pa.Table, **where: object) -> dict:
    for key, value in where.items():
        table = table.filter(pc.is_null(table[key]) if value is None else pc.equal(table[key], value))
    assert table.num_rows == 1, table.to_pylist()
    return table.to_pylist()[0]


def changed(table: pa.Table, column: str, values: list) -> pa.Table:
    place = table.column_names.index(column)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


# error types


def test_each_type_of_error_is_told_and_its_mending_counted() -> None:
    tables = scene(
        [(1, CAT, HERE), (1, DOG, THERE), (2, CAT, HERE), (3, CAT, HERE)],
        [
            (1, CAT, HERE, 0.5),
            (1, CAT, CLOSE, 0.4),  # duplicate
            (1, CAT, THERE, 0.9),  # classification: that is the dog
            (2, CAT, NEAR, 0.8),  # localization
            (2, CAT, THERE, 0.7),  # background
            (3, CAT, (0, 0, 10, 1), 0.6),  # IoU .1: localization, and its box is not missed
            (3, DOG, NEAR, 0.3),  # both
        ],
    )
    result = evaluate_tables(*tables, QUICK)
    found = {row["score"]: row["error"] for row in result["matches"].to_pylist() if row["score"] is not None}
    assert found == {
        0.5: None,
        0.4: "duplicate",
        0.9: "classification",
        0.8: "localization",
        0.7: "background",
        0.6: "localization",
        0.3: "both",
    }
    errors = result["errors"]
    cat = {row["error"]: row for row in errors.filter(pc.equal(errors["category_id"], CAT)).to_pylist()}
    assert {name: row["n"] for name, row in cat.items()} == {
        "classification": 1,
        "localization": 2,
        "both": 0,
        "duplicate": 1,
        "background": 1,
        "missed": 0,
    }
    # hits stand at 5 of 6: a third of recall at precision 1/5; mended, the dog goes: 1/4
    third = 34 / 101
    assert one(result["class_metrics"], category_id=CAT, area_range="all")["ap50"] == pytest.approx(third / 5)
    assert cat["classification"]["d_ap50"] == pytest.approx(third * (1 / 4 - 1 / 5))
    assert cat["background"]["d_ap50"] == pytest.approx(third * (1 / 4 - 1 / 5))
    assert cat["duplicate"]["d_ap50"] == 0
    # order then: false .9, hit .8, false .7, hit .6, hit .5
    assert cat["localization"]["d_ap50"] == pytest.approx(3 / 5 - third / 5)
    # the dog is found by the detection that was called a cat
    assert one(errors, category_id=DOG, error="classification")["d_ap50"] == pytest.approx(1)


@pytest.mark.parametrize("found", [[], [(2, CAT, THERE, 0.9)]])
def test_a_class_of_which_all_is_missed_has_no_gain_to_tell(found: list) -> None:
    errors = evaluate_tables(*scene([(1, CAT, HERE)], found), QUICK)["errors"]
    missed = one(errors, category_id=CAT, error="missed")
    assert (missed["n"], missed["d_ap"], missed["d_ap50"]) == (1, None, None)


# confusion, worst images


def test_a_wrong_class_never_steals_a_match() -> None:
    tables = scene(
        [(1, CAT, HERE), (2, CAT, HERE), (3, DOG, THERE)],
        [(1, DOG, HERE, 0.9), (1, CAT, CLOSE, 0.5), (2, DOG, HERE, 0.8), (2, CAT, HERE, 0.1), (2, CAT, THERE, 0.7)],
    )
    table = evaluate_tables(*tables, QUICK)["confusion"]
    counts = {(row["category_name"], row["predicted_category_name"]): row["n"] for row in table.to_pylist()}
    assert counts == {
        ("cat", "cat"): 1,  # image 1, though the dog there scores higher and fits better
        (None, "dog"): 1,
        ("cat", "dog"): 1,  # image 2: its own detection lies below the score threshold
        (None, "cat"): 1,
        ("dog", None): 1,
    }


def test_the_worst_image_comes_first_and_counts_at_the_best_score() -> None:
    tables = scene(
        [(1, CAT, HERE), (2, CAT, HERE), (2, CAT, THERE), (2, CAT, (20, 20, 9, 9))],
        [(1, CAT, HERE, 0.9), (2, CAT, HERE, 0.8), (2, CAT, (90, 90, 5, 5), 0.85), (1, CAT, THERE, 0.1)],
    )
    rows = evaluate_tables(*tables, QUICK)["image_metrics"].to_pylist()
    columns = ("image_id", "n_ground_truth", "n_detections", "n_missed", "n_false", "rank")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (2, 3, 2, 2, 1, 1),
        (1, 1, 1, 0, 0, 2),
        (3, 0, 0, 0, 0, 3),
    ]


# rows that take no part


def test_rows_without_coordinates_take_no_part() -> None:
    images, annotations, categories, predictions = scene(
        [(1, CAT, HERE), (2, CAT, HERE)], [(1, CAT, HERE, 0.5), (2, CAT, THERE, 0.9)]
    )
    annotations = changed(annotations, "width", [10.0, None])
    predictions = changed(predictions, "x", [0.0, None])
    result = evaluate_tables(images, annotations, categories, predictions, QUICK)
    assert one(result["class_metrics"], category_id=CAT, area_range="all")["ap"] == pytest.approx(1)
    assert result["matches"].num_rows == 1


def test_annotation_id_0_is_a_match_unless_pycocotools_is_followed() -> None:
    boxes, found = [(1, CAT, HERE), (2, CAT, HERE)], [(1, CAT, HERE, 0.9), (2, CAT, HERE, 0.8)]
    images, annotations, *rest = scene(boxes, found)
    tables = (images, changed(annotations, "annotation_id", [0, 1]), *rest)
    ours = evaluate_tables(*tables, QUICK)
    assert one(ours["class_metrics"], category_id=CAT, area_range="all")["ap"] == pytest.approx(1)
    strict = evaluate_tables(*tables, EvaluateSettings(bootstrap=0, strict_pycocotools=True))
    truth = {
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": CAT}],
        "annotations": [
            {"id": k, "image_id": k + 1, "category_id": CAT, "bbox": list(HERE), "area": 100, "iscrowd": 0}
            for k in (0, 1)
        ],
    }
    oracle = evaluate(
        truth, [{"image_id": i, "category_id": CAT, "bbox": list(HERE), "score": s} for i, s in ((1, 0.9), (2, 0.8))]
    )
    assert oracle.stats[0] < 0.3
    assert strict["summary_metrics"]["value"][0].as_py() == pytest.approx(oracle.stats[0], abs=1e-12)


def test_detections_of_a_class_without_ground_truth_have_rows_but_no_ap() -> None:
    tables = scene([(1, CAT, HERE)], [(1, CAT, HERE, 0.9), (1, 77, THERE, 0.95)])
    result = evaluate_tables(*tables, QUICK)
    assert one(result["class_metrics"], category_id=77, area_range="all")["ap"] is None
    assert one(result["matches"], category_id=77)["category_name"] == "77"
    assert result["summary_metrics"]["value"][0].as_py() == pytest.approx(1)


# Pascal VOC


def pascal(gt: GroundTruth, difficult: np.ndarray, dt: Detections, number: int) -> tuple[float, float]:
    """The two APs as the devkit's loop computes them (without its plus one)."""
    rows = np.flatnonzero(dt.category == number)
    rows = rows[np.lexsort((dt.rank[rows], dt.image[rows], -dt.score[rows]))]
    taken, hits, misses = set(), [], []
    for row in rows:
        boxes = np.flatnonzero((gt.category == number) & (gt.image == dt.image[row]))
        iou = pairwise_iou(dt.box[row : row + 1], gt.box[boxes])[0]
        best = boxes[iou.argmax()] if len(boxes) and iou.max() >= 0.5 else -1
        if best >= 0 and difficult[best]:
            continue
        hits.append(best >= 0 and best not in taken)
        misses.append(not hits[-1])
        taken.add(best)
    n = int(((gt.category == number) & ~difficult).sum())
    tp, fp = np.cumsum(hits), np.cumsum(misses)
    recall, precision = tp / n, tp / np.maximum(tp + fp, 1)
    points = [max(precision[recall >= t], default=0) for t in np.arange(0.0, 1.1, 0.1)]
    edges = np.concatenate([[0], recall, [1]])
    envelope = np.maximum.accumulate(np.concatenate([[0], precision, [0]])[::-1])[::-1]
    return float(np.mean(points)), float((np.diff(edges) * envelope[1:]).sum())


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_pascal_ap_is_that_of_the_devkit(drawn: tuple[GroundTruth, Detections]) -> None:
    gt, dt = drawn
    gt = GroundTruth(gt.image, gt.category, gt.box, gt.area, np.zeros(len(gt), bool))
    images, annotations, *rest = as_tables(*as_coco(gt, dt))
    difficult = np.arange(len(gt)) % 4 == 3
    annotations = changed(annotations, "is_difficult", difficult.tolist())
    table = evaluate_tables(images, annotations, *rest, EvaluateSettings(bootstrap=0, max_detections=1000))
    for number in np.unique(gt.category[~difficult]).tolist():
        row = one(table["class_metrics"], category_id=number, area_range="all")
        expected = pascal(gt, difficult, dt, number)
        assert (row["voc_ap50_11point"], row["voc_ap50_area"]) == pytest.approx(expected, abs=1e-12)


def test_false_detections_on_a_crowd_do_not_count_for_pascal() -> None:
    crowd = scene([(1, CAT, (0, 0, 100, 100))], [], iscrowd=1)[1]
    images, annotations, categories, predictions = scene([(1, CAT, HERE)], [(1, CAT, THERE, 0.9), (1, CAT, HERE, 0.5)])
    result = evaluate_tables(images, pa.concat_tables([annotations, crowd]), categories, predictions, QUICK)
    assert one(result["class_metrics"], category_id=CAT, area_range="all")["voc_ap50_area"] == pytest.approx(1)


# score thresholds


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_best_f1_and_calibration_are_those_of_a_plain_search(drawn: tuple[GroundTruth, Detections]) -> None:
    gt, dt = drawn
    found = match(gt, dt)
    table = evaluate_tables(*as_tables(*as_coco(gt, dt)), QUICK)["class_metrics"]
    for number in np.unique(np.concatenate([gt.category, dt.category])).tolist():
        row = one(table, category_id=number, area_range="all")
        n_gt = int(((gt.category == number) & ~gt.crowd).sum())
        used = (dt.category == number) & found.kept & (found.ignored[:, 0] & 1 == 0)
        hit, score = (found.matched[:, 0] & 1 == 1)[used], dt.score[used]
        best = (
            max((2 * hit[score >= s].sum() / ((score >= s).sum() + n_gt) for s in score), default=0) if n_gt else None
        )
        assert row["best_f1"] == (None if best is None else pytest.approx(best))
        if best:
            above = score >= row["best_f1_threshold"]
            assert row["best_f1_precision"] == pytest.approx(hit[above].mean())
            assert row["best_f1_recall"] == pytest.approx(hit[above].sum() / n_gt)
        else:
            assert row["best_f1_threshold"] is None
        cells = defaultdict(list)
        for s, h in zip(score, hit, strict=True):
            cells[min(int(s * 10), 9)].append((s, h))
        gaps = [abs(np.sum([s - h for s, h in cell])) for cell in cells.values()]
        assert row["ece"] == (pytest.approx(sum(gaps) / len(score)) if len(score) else None)


# bootstrap


def test_weights_are_poisson_and_depend_on_nothing_but_seed_image_and_resample() -> None:
    images = np.arange(2000)
    drawn = weights(images, np.arange(50), 3)
    assert drawn.mean() == pytest.approx(1, abs=0.02)
    assert drawn.astype(float).var() == pytest.approx(1, abs=0.05)
    assert (drawn[500:510, 7:9] == weights(images[500:510], np.arange(7, 9), 3)).all()
    assert (drawn != weights(images, np.arange(50), 4)).mean() > 0.5
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.1


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_a_resample_is_the_ap_of_images_repeated(drawn: tuple[GroundTruth, Detections]) -> None:
    """A weight of 2 is the image twice: the score ties that this makes cannot change the envelope."""
    gt, dt = take(drawn[0], drawn[0].category == 1), take(drawn[1], drawn[1].category == 1)
    dt = Detections(dt.image, dt.category, dt.box, (1 + dt.rank) / 300, dt.rank)  # no two scores are equal
    times = np.array([0, 1, 2, 1, 3])
    found = match(gt, dt)
    order = np.argsort(-dt.score)
    order = order[found.kept[order]]
    counted = ~found.ignored[order, 0] & 1023
    n_gt = times[gt.image[~gt.crowd]].sum()
    category, start = np.zeros(len(order), np.int64), np.array([0, len(order)])
    hits = true_positives(category, start, found.matched[order, 0] & counted, counted)
    ranking = WeightedRanking.of(hits, dt.image[order], start, counted)
    weight = np.append(times, 0)[:, None].astype(np.uint8)
    ap, n_found = ranking.average_precision(weight, RecallPoints.of(np.array([[n_gt]])), np.array([[n_gt]]))
    area, _ = ranking.average_precision(weight, None, np.array([[n_gt]]))
    repeated_gt = [take(gt, gt.image == image, new=10 * image + k) for image in range(5) for k in range(times[image])]
    repeated_dt = [take(dt, dt.image == image, new=10 * image + k) for image in range(5) for k in range(times[image])]
    expected = class_average_precision(joined(repeated_gt), joined(repeated_dt))
    if n_gt:
        np.testing.assert_allclose(ap[:, 0, 0], expected, rtol=0, atol=1e-12)
    all_dt = joined(repeated_dt)
    match_of_all = match(joined(repeated_gt), all_dt)
    true = match_of_all.matched[:, 0] & ~match_of_all.ignored[:, 0]
    if n_gt:
        by_score = np.argsort(-all_dt.score, kind="stable")
        by_score = by_score[match_of_all.kept[by_score]]
        counts = ~match_of_all.ignored[by_score, 0] & 1023
        of_all = true_positives(
            np.zeros(len(by_score), np.int64), np.array([0, len(by_score)]), true[by_score] & counts, counts
        )
        np.testing.assert_allclose(
            area[:, 0, 0], area_under_envelope(of_all, np.array([[n_gt]]))[0], rtol=0, atol=1e-12
        )
    assert n_found[:, 0, 0].tolist() == [(true >> level & 1).sum() for level in range(10)]


def take(rows: GroundTruth | Detections, mask: np.ndarray, new: int | None = None) -> GroundTruth | Detections:
    values = [getattr(rows, name)[mask] for name in list(rows.__dataclass_fields__)[:5]]
    if new is not None:
        values[0] = np.full(mask.sum(), new)
    return type(rows)(*values)


def joined(parts: list) -> GroundTruth | Detections:
    fields = list(parts[0].__dataclass_fields__)[:5]
    return type(parts[0])(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def test_the_value_lies_in_its_interval_and_a_model_does_not_differ_from_itself() -> None:
    rng = np.random.default_rng(0)
    boxes = [(image, number, HERE if number == CAT else THERE) for image in range(1, 8) for number in (CAT, DOG)]
    found = [(image, number, box, float(rng.random())) for image, number, box in boxes]
    tables = scene(boxes, [*found, (3, DOG, HERE, 0.99), (2, CAT, THERE, 0.98)])
    result = evaluate_tables(*tables, EvaluateSettings(bootstrap=100), against=tables[-1])
    for row in result["class_metrics"].filter(pc.equal(result["class_metrics"]["area_range"], "all")).to_pylist():
        assert row["n_images"] == 7
        assert row["ap_low"] <= row["ap"] <= row["ap_high"]
        assert row["ap_low"] < row["ap_high"]
    for row in result["comparisons"].to_pylist():
        assert row["n_images"] == 7
        assert (row["delta_low"], row["delta_high"], row["verdict"]) == (0, 0, "unclear")


def test_a_few_images_give_no_interval_and_no_verdict() -> None:
    boxes = [(image, CAT, HERE) for image in range(1, 5)] + [(image, DOG, HERE) for image in range(1, 6)]
    found = [(image, number, box, 0.5) for image, number, box in boxes]
    perfect, *_, nothing = *scene(boxes, found), scene(boxes, [(1, CAT, THERE, 0.5), (1, DOG, THERE, 0.5)])[-1]
    tables = (perfect, *scene(boxes, found)[1:])
    result = evaluate_tables(*tables, EvaluateSettings(bootstrap=100), against=nothing)
    cat, dog = (one(result["comparisons"], category_id=number) for number in (CAT, DOG))
    assert (cat["delta"], cat["n_images"], cat["delta_low"], cat["verdict"]) == (-1, 4, None, "unclear")
    assert (dog["delta"], dog["n_images"], dog["verdict"]) == (-1, 5, "worse")
    row = one(result["class_metrics"], category_id=CAT, area_range="all")
    assert (row["ap_low"], row["ap_high"]) == (None, None)


def test_the_same_detections_in_another_order_are_no_other_model() -> None:
    rng = np.random.default_rng(1)
    boxes = [(image, CAT, HERE) for image in range(1, 9)]
    found = [(image, CAT, HERE, 0.5) for image, *_ in boxes] + [
        (image, CAT, THERE, 0.5) for image in range(1, 9) if image != 4
    ]
    shuffled = [found[place] for place in rng.permutation(len(found))]
    *tables, predictions = scene(boxes, found)
    other = scene(boxes, shuffled)[-1]
    row = one(
        evaluate_tables(*tables, predictions, EvaluateSettings(bootstrap=100), against=other)["comparisons"],
        category_id=CAT,
    )
    assert row["delta"] != 0  # equal scores are ranked as they stand
    assert row["verdict"] == "unclear"


def test_an_interval_is_corrected_for_bias_and_for_few_images() -> None:
    from scipy.stats import norm, t

    rng = np.random.default_rng(0)
    values = rng.normal(0.5, 0.1, (2, 20_000))
    low, high = interval(values, np.array([0.5, 0.45]))  # of the second, resamples lie half a deviation too high
    np.testing.assert_allclose([low[0], high[0]], norm(0.5, 0.1).interval(0.95), atol=0.01)
    np.testing.assert_allclose([low[1], high[1]], norm(0.4, 0.1).interval(0.95), atol=0.01)
    low, high = interval(values, np.array([0.5, 0.5]), np.array([8, 4]))
    half = t(7).ppf(0.975) * (8 / 7) ** 0.5 * 0.1
    np.testing.assert_allclose([low[0], high[0]], [0.5 - half, 0.5 + half], atol=0.02)
    assert np.isnan([low[1], high[1]]).all()


def test_resamples_without_boxes_tell_of_few_images() -> None:
    values = np.full((2, 100), 0.5)
    values[0, :2], values[1, :6] = np.nan, np.nan
    low, _ = interval(values, np.array([0.5, 0.5]))
    assert np.isfinite(low).tolist() == [True, False]


def test_no_resamples_give_no_interval() -> None:
    low, high = interval(np.empty((3, 0)), np.zeros(3))
    assert np.isnan(low).all()
    assert np.isnan(high).all()


# slices


@settings(max_examples=20, deadline=None)
@given(scenes())
def test_a_slice_by_image_is_the_evaluation_of_its_images_alone(drawn: tuple[GroundTruth, Detections]) -> None:
    gt, dt = drawn
    images, annotations, categories, predictions = as_tables(*as_coco(gt, dt))
    weather = ["rain" if number % 2 else "sun" for number in images["image_id"].to_pylist()]
    images = changed(images, "attributes", [f'{{"weather": "{value}"}}' for value in weather])
    slices = evaluate_tables(
        images, annotations, categories, predictions, EvaluateSettings(bootstrap=0, slices=("weather",))
    )["slices"]
    for value in ("rain", "sun"):
        mine = images.filter(pa.array([entry == value for entry in weather]))
        inside = pc.is_in(predictions["image_id"], value_set=mine["image_id"].combine_chunks())
        alone = evaluate_tables(mine, annotations, categories, predictions.filter(inside), QUICK)["class_metrics"]
        for row in slices.filter(pc.equal(slices["value"], value)).to_pylist():
            expected = one(alone, category_id=row["category_id"], area_range="all")
            assert (row["ap"], row["ap50"]) == (pytest.approx(expected["ap"]), pytest.approx(expected["ap50"]))
            assert row["n_ground_truth"] == expected["n_ground_truth"]


@settings(max_examples=20, deadline=None)
@given(scenes())
def test_slices_by_size_are_coco_areas_with_other_limits(drawn: tuple[GroundTruth, Detections]) -> None:
    gt, dt = drawn
    # of COCO's ranges both ends belong to them, of slices one
    gt = take(gt, ~np.isin(np.sqrt(gt.area), (32.0, 64.0)))
    dt = take(dt, ~np.isin(np.sqrt(dt.areas()), (32.0, 64.0)))
    truth, detections = as_coco(gt, dt)
    table = evaluate_tables(*as_tables(truth, detections), QUICK)["slices"]
    oracle = evaluate(truth, detections, area_range=[32.0**2, 64.0**2])
    for index, number in enumerate(oracle.params.catIds):
        mine = table.filter(
            pc.and_(pc.equal(table["value"], "[32, 64) px"), pc.equal(table["category_id"], number))
        ).to_pylist()
        expected = oracle.eval["precision"][:, :, index, 0, 2].mean()
        assert (mine[0]["ap"] if mine else -1) == pytest.approx(expected)


@pytest.mark.parametrize(("n_images", "verdict"), [(4, "unclear"), (5, "worse")])
def test_all_classes_together_differ_by_chance_where_each_has_few_images(n_images: int, verdict: str) -> None:
    """Gains of one image a class are the same in all resamples, and tell nothing all the same."""
    rng = np.random.default_rng(0)
    ap = rng.uniform(0.3, 0.7, (20, 1)).repeat(101, axis=1)
    gain = rng.normal(-0.02, 0.1, (20, 1)) + rng.normal(0, 0.001, (20, 101))

    def numbers(values: np.ndarray) -> pa.Table:
        columns = {"category_id": np.repeat(np.arange(20), 101), "resample": np.tile(np.arange(-1, 100), 20)}
        return pa.table(columns | {"n_images": np.full(20 * 101, n_images), "AP": values.ravel()})

    found = mean_gain(numbers(ap), numbers(ap + gain))
    assert found.delta == pytest.approx(gain[:, 0].mean())
    assert found.low < found.delta < found.high
    assert found.verdict == verdict

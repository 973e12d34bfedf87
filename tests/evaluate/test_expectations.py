"""A figure from elsewhere is explained by the difference of rules that was planted, or by none."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from coco_oracle import as_coco, as_tables, evaluate
from evaluation import shards_of

from detray.errors import UsageError
from detray.evaluate.expectations import parse, read_assignments
from detray.evaluate.flow import TABLES
from detray.evaluate.flow import evaluate as run_flow
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.settings import EvaluateSettings
from detray.flow.data import MemoryData
from detray.flow.memory import run_in_memory

SETTINGS = EvaluateSettings(bootstrap=0, slices=())


def world(seed: int = 0, images: int = 30) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Boxes and detections without ties, in which each flag and each size is common."""
    rng = np.random.default_rng(seed)
    n = images * 6
    box = np.c_[rng.integers(0, 300, (n, 2)), rng.choice([20.0, 60.0, 150.0], (n, 2))].astype(float)
    image, category = rng.integers(1, images + 1, n), rng.integers(1, 4, n)
    gt = GroundTruth(image, category, box, box[:, 2] * box[:, 3] * 0.4, rng.random(n) < 0.15)
    near = np.repeat(np.arange(n), 3)
    found = box[near] + rng.normal(0, 6, (len(near), 4))
    wrong = rng.random(len(near)) < 0.15
    dt = Detections(
        image[near],
        np.where(wrong, rng.integers(1, 4, len(near)), category[near]),
        np.maximum(found, 1),
        rng.permutation(len(near)) / len(near),
        np.arange(len(near)),
    )
    truth, results = as_coco(gt, dt)
    for note in truth["annotations"]:
        note["difficult"], note["ignore"] = bool(rng.random() < 0.2), int(rng.random() < 0.2)
    return truth, results


def rows_of(truth: dict[str, Any], results: list[dict[str, Any]]) -> tuple[pa.Table, ...]:
    images, annotations, categories, predictions = as_tables(truth, results)
    notes = truth["annotations"]
    for name, values in (
        ("is_difficult", [note.get("difficult", False) for note in notes]),
        ("attributes", [json.dumps({"ignore": note.get("ignore", 0)}) for note in notes]),
    ):
        field = annotations.schema.field(name)
        annotations = annotations.set_column(
            annotations.schema.get_field_index(name), field, pa.array(values, field.type)
        )
    return images, annotations, categories, predictions


def lines(rows: tuple[pa.Table, ...], expect: dict[str, float], n_shards: int = 3, **stated: Any) -> list[str]:
    settings = EvaluateSettings(bootstrap=0, slices=(), **stated)
    data = MemoryData(shards_of(rows, n_shards), manifests={"predict": {"facts": {"model": "a"}}})
    run = run_in_memory(run_flow, data, "test", ["val"], settings, None, {}, expect, tables=TABLES)
    return [note for note in run.outcome.notes if "=" in note]


def ap(truth: dict[str, Any], results: list[dict[str, Any]], number: int = 0, **params: Any) -> float:
    """What pycocotools gives; with other parameters its AP over all."""
    oracle = evaluate(truth, results, params=params)
    if not params:
        return float(oracle.stats[number])
    precision = oracle.eval["precision"][:, :, :, 0, -1]
    return float(precision[precision > -1].mean())


TRUTH, RESULTS = world()
NOTES = TRUTH["annotations"]


def without(flag: str) -> dict[str, Any]:
    return TRUTH | {"annotations": [note for note in NOTES if not note[flag]]}


PLANTED: dict[str, tuple[str, float, str]] = {
    "the same": ("AP", ap(TRUTH, RESULTS), "the same"),
    "crowd as boxes": (
        "AP",
        ap(TRUTH | {"annotations": [note | {"iscrowd": 0} for note in NOTES]}, RESULTS),
        "with crowd regions as boxes",
    ),
    "no crowd": ("AP", ap(without("iscrowd"), RESULTS), "without crowd regions"),
    "no difficult": ("AP", ap(without("difficult"), RESULTS), "without difficult boxes"),
    "no ignored": ("AP", ap(without("ignore"), RESULTS), "without boxes marked ignore"),
    "area": (
        "APm",
        ap(TRUTH | {"annotations": [note | {"area": note["bbox"][2] * note["bbox"][3]} for note in NOTES]}, RESULTS, 4),
        "with width times height as area",
    ),
    "ten a class": ("AP", ap(TRUTH, RESULTS, maxDets=[1]), "with 1 detection an image and class"),
    "threshold": ("AP", ap(TRUTH, RESULTS, iouThrs=np.array([0.65])), "at IoU 0.65 alone"),
    "AP50 for AP": ("mAP", ap(TRUTH, RESULTS, 1), "at IoU 0.5 alone"),
    "one class": ("AP", ap(TRUTH, RESULTS, useCats=0), "with all classes as one"),
    "score": ("AP", ap(TRUTH, [one for one in RESULTS if one["score"] >= 0.25]), "under a score of 0.25"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_difference_is_the_explanation(kind: str) -> None:
    name, value, words = PLANTED[kind]
    [line] = lines(rows_of(TRUTH, RESULTS), {name: round(value, 4)})
    assert line.startswith(f"{name}=")
    assert words in line, line
    if kind != "the same":
        assert "which explains it" in line
        assert f"{value:.4f}".rstrip("0")[:6] in line


def test_pascals_eleven_points_explain_an_ap50() -> None:
    rows = rows_of(TRUTH, RESULTS)
    data = MemoryData(shards_of(rows), manifests={"predict": {"facts": {"model": "a"}}})
    pascal = EvaluateSettings(bootstrap=0, slices=(), protocol="pascal")
    found = run_in_memory(run_flow, data, "test", ["val"], pascal, tables=TABLES).tables["summary_metrics"]
    values = dict(zip(found["metric"].to_pylist(), found["value"].to_pylist(), strict=True))
    [line] = lines(rows, {"AP50": round(values["AP50_11point"], 4)})
    assert "by Pascal VOC's rules with 11 points" in line


def test_classes_without_boxes_counted_as_0_explain_a_mean() -> None:
    truth = TRUTH | {"categories": [*TRUTH["categories"], {"id": 9, "name": "nothing"}]}
    known = len({note["category_id"] for note in NOTES})
    [line] = lines(rows_of(truth, RESULTS), {"AP": round(ap(TRUTH, RESULTS) * known / (known + 1), 4)})
    assert "with 0 for classes without boxes" in line


def test_the_figure_of_a_class_is_explained_too() -> None:
    precision = evaluate(without("iscrowd"), RESULTS).eval["precision"][0, :, 0, 0, -1]
    name = TRUTH["categories"][0]["name"]
    [line] = lines(rows_of(TRUTH, RESULTS), {f"AP50/{name}": round(float(precision.mean()), 4)})
    assert line.startswith(f"AP50/{name}=")
    assert "without crowd regions" in line


def test_what_nothing_explains_is_said_with_what_was_tried() -> None:
    [line] = lines(rows_of(TRUTH, RESULTS), {"AP": 0.9871})
    assert "no known difference of rules explains it; the nearest is" in line
    for words in (
        "without crowd regions",
        "by Pascal VOC's rules",
        "at single IoU thresholds",
        "under a minimum score",
    ):
        assert words in line


@pytest.mark.parametrize("protocol", ["pascal", "open_images", "lvis"])
def test_a_figure_of_coco_is_told_whatever_the_protocol(protocol: str) -> None:
    images, *rest = rows_of(TRUTH, RESULTS)
    field = images.schema.field("attributes")
    lists = json.dumps({"neg_category_ids": [], "not_exhaustive_category_ids": []})
    images = images.set_column(
        images.schema.get_field_index("attributes"), field, pa.array([lists] * images.num_rows, field.type)
    )
    [line] = lines((images, *rest), {"AP": round(ap(TRUTH, RESULTS), 4)}, protocol=protocol)
    assert "by COCO's rules, which explains it" in line


def test_lines_do_not_depend_on_shards() -> None:
    rows = rows_of(TRUTH, RESULTS)
    expect = {"AP": 0.3, "AP50": 0.4, "APs": 0.2}
    assert lines(rows, expect, 1) == lines(rows, expect, 4)


def test_repeated_ids_are_said_with_what_pycocotools_gives() -> None:
    truth = TRUTH | {"annotations": [note | {"id": place // 2} for place, note in enumerate(NOTES)]}
    theirs = evaluate(truth, RESULTS).stats[0]
    data = MemoryData(shards_of(rows_of(truth, RESULTS), 2), manifests={"predict": {"facts": {"model": "a"}}})
    notes = run_in_memory(run_flow, data, "test", ["val"], SETTINGS, tables=TABLES).outcome.notes
    [line] = [note for note in notes if "pycocotools" in note]
    assert "annotations share their ids" in line
    assert f"keys boxes by id and gives {theirs:.3f}, here each counts" in line
    [explained] = lines(rows_of(truth, RESULTS), {"AP": round(float(theirs), 4)})
    assert "as pycocotools keys boxes by id, which explains it" in explained


def test_records_that_evaluators_take_for_one_image_are_said() -> None:
    images, *rest = rows_of(TRUTH, RESULTS)
    field = images.schema.field("attributes")
    texts = [json.dumps({"image/source_id": str(place // 3)} if place < 6 else {}) for place in range(images.num_rows)]
    images = images.set_column(images.schema.get_field_index("attributes"), field, pa.array(texts, field.type))
    facts = {"predict": {"facts": {"model": "a"}}, "ingest": {"facts": {"formats": {"val": "tfrecord"}}}}
    data = MemoryData(shards_of((images, *rest), 3), manifests=facts)
    notes = run_in_memory(run_flow, data, "test", ["val"], SETTINGS, tables=TABLES).outcome.notes
    [line] = [note for note in notes if "image/source_id" in note]
    n = images.num_rows
    assert line.startswith(f"val: {n} of {n} records share their image/source_id")
    assert "take all records for 3;" in line


@pytest.mark.parametrize(
    ("name", "metric", "category"),
    [
        ("AP50", "AP50", None),
        ("ap50", "AP50", None),
        ("mAP", "AP", None),
        ("mAP@.50", "AP50", None),
        ("mAP@0.5", "AP50", None),
        ("mAP50-95", "AP", None),
        ("mAP@.5:.95", "AP", None),
        ("AR100", "AR100", None),
        ("AP/traffic light", "AP", "traffic light"),
    ],
)
def test_numbers_are_known_by_the_names_that_people_give_them(name: str, metric: str, category: str | None) -> None:
    found = parse(name, 43.0)
    assert (found.metric, found.category, found.value) == (metric, category, 0.43)


@pytest.mark.parametrize("text", ["AP50", "AP50=", "=0.4", "AP50=high", "F1=0.4", "AP=-1", "AP=430"])
def test_what_is_no_figure_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--expect"):
        read_assignments([text])


def test_a_figure_is_as_exact_as_it_is_written() -> None:
    assert parse("AP", 0.4).tolerance == 0.005
    assert parse("AP", 0.432).tolerance == 0.0015
    assert parse("AP", 43.2).tolerance == 0.0015

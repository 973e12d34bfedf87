"""All tables of the evaluation against pycocotools, on real and on random scenes."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from coco_oracle import as_coco, as_tables, evaluate, scenes
from evaluation import evaluate_tables
from hypothesis import given, settings
from pycocotools import mask
from pycocotools.cocoeval import COCOeval

from detray import schema
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.settings import EvaluateSettings
from detray.schema import AREA_RANGES

QUICK = EvaluateSettings(bootstrap=0)
PUBLISHED = {
    "AP": 0.5045806987249628,
    "AP50": 0.6969727247299577,
    "AP75": 0.5729816669904824,
    "APs": 0.5856257209410443,
    "APm": 0.5193996948036719,
    "APl": 0.5013978986347466,
    "AR1": 0.38681277964578054,
    "AR10": 0.5936795762842003,
    "AR100": 0.595352982877607,
    "ARs": 0.6398109626113442,
    "ARm": 0.5664205978994309,
    "ARl": 0.5642905982905982,
}


@pytest.fixture(scope="module")
def coco_tables(shared: Path) -> tuple[pa.Table, ...]:
    folder = shared / "coco_val2014_100"
    truth = json.loads((folder / "instances_val2014_100.json").read_text())
    return as_tables(truth, json.loads((folder / "fakebbox100_results.json").read_text()))


def row(table: pa.Table, **where: object) -> dict[str, object]:
    for key, value in where.items():
        table = table.filter(pc.equal(table[key], value))
    assert table.num_rows == 1
    return table.to_pylist()[0]


def test_the_published_numbers_of_coco_to_1e12(coco_tables: tuple[pa.Table, ...]) -> None:
    result = evaluate_tables(*coco_tables, QUICK)
    ours = dict(zip(*(result["summary_metrics"][name].to_pylist() for name in ("metric", "value")), strict=True))
    assert list(ours) == list(PUBLISHED)
    for metric, value in PUBLISHED.items():
        assert ours[metric] == pytest.approx(value, rel=0, abs=1e-12), metric

    every = result["class_metrics"].filter(pc.equal(result["class_metrics"]["area_range"], "all"))
    assert every.num_rows == 80
    assert every["ap"].null_count == 10
    at_zero = every.filter(pc.equal(every["ap"], 0))["category_name"].to_pylist()
    assert sorted(at_zero) == ["pizza", "umbrella"]


def test_every_table_conforms_to_its_schema(coco_tables: tuple[pa.Table, ...]) -> None:
    result = evaluate_tables(*coco_tables, EvaluateSettings(bootstrap=5), against=coco_tables[-1])
    for name, table in result.items():
        assert table.schema.equals(schema.schema(name)), name
        assert table.num_rows, name
        schema.conform(table, name)


def check_against_pycocotools(oracle: COCOeval, result: dict[str, pa.Table]) -> None:
    """Every number to the last bit: pycocotools' means are those over what is not -1."""
    precision, recall, scores = (oracle.eval[name] for name in ("precision", "recall", "scores"))
    summary = result["summary_metrics"]["value"].to_pylist()
    assert [-1 if v is None else v for v in summary] == oracle.stats.tolist()

    def mean(values: np.ndarray) -> float | None:
        known = values[values > -1]
        return np.mean(known) if len(known) else None

    for index, number in enumerate(oracle.params.catIds):
        for area, name in enumerate(AREA_RANGES):
            ours = row(result["class_metrics"], category_id=number, area_range=name)
            expected = {"ap": mean(precision[:, :, index, area, 2])}
            expected |= {f"ap{50 + 5 * t}": mean(precision[t, :, index, area, 2]) for t in range(10)}
            for place, column in enumerate(("ar1", "ar10", "ar100")):
                expected[column] = mean(recall[:, index, area, place])
            assert {column: ours[column] for column in expected} == expected
        curve = result["pr_curves"].filter(pc.equal(result["pr_curves"]["category_id"], number))
        if precision[0, 0, index, 0, 2] < 0:
            assert curve.num_rows == 0
            continue
        assert (curve["precision"].to_numpy().reshape(10, 101) == precision[:, :, index, 0, 2]).all()
        # where recall is not reached pycocotools has 0, we have NULL
        assert (np.nan_to_num(curve["score"].to_numpy()).reshape(10, 101) == scores[:, :, index, 0, 2]).all()


@settings(max_examples=25, deadline=None)
@given(scenes())
def test_random_scenes_equal_pycocotools(scene: tuple[GroundTruth, Detections]) -> None:
    truth, detections = as_coco(*scene)
    check_against_pycocotools(evaluate(truth, detections), evaluate_tables(*as_tables(truth, detections), QUICK))


def test_real_scenes_equal_pycocotools(shared: Path) -> None:
    folder = shared / "coco_val2014_100"
    truth = json.loads((folder / "instances_val2014_100.json").read_text())
    detections = json.loads((folder / "fakebbox100_results.json").read_text())
    check_against_pycocotools(evaluate(truth, detections), evaluate_tables(*as_tables(truth, detections), QUICK))


def test_real_masks_equal_pycocotools(shared: Path) -> None:
    folder = shared / "coco_val2014_100"
    truth = json.loads((folder / "instances_val2014_100.json").read_text())
    detections = json.loads((folder / "fakesegm100_results.json").read_text())
    boxes = mask.toBbox([entry["segmentation"] for entry in detections]).tolist()
    rows = [entry | {"bbox": box} for entry, box in zip(detections, boxes, strict=True)]
    images, *tables = as_tables(truth, rows)
    for side in ("height", "width"):
        place = images.column_names.index(side)
        images = images.set_column(place, images.schema.field(side), [[image[side] for image in truth["images"]]])
    result = evaluate_tables(images, *tables, EvaluateSettings(bootstrap=0, iou_type="segm"))
    check_against_pycocotools(evaluate(truth, detections, "segm"), result)

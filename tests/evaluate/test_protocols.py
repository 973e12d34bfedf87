"""Protocols beside COCO's, against numbers that their own evaluators gave (golden/make_protocols.py)."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from coco_oracle import as_coco, as_tables, evaluate, scenes
from evaluation import run_evaluation
from hypothesis import given, settings

from detray import schema
from detray.errors import DetrayError, UsageError
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.settings import AreaRanges, EvaluateSettings
from detray.settings import convert

GOLDEN = json.loads((Path(__file__).parent / "golden/protocols.json").read_text())
SCENES = range(len(GOLDEN["scenes"]))


def tables_of(data: dict[str, Any]) -> tuple[pa.Table, ...]:
    """The canonical tables, with what LVIS and the TFRecords of Open Images state as attributes."""
    truth = data | {"annotations": [note | {"iscrowd": 0} for note in data["annotations"]]}
    images, annotations, categories, predictions = as_tables(truth, data["detections"])
    keys = ("neg_category_ids", "not_exhaustive_category_ids")
    return (
        _with(images, "attributes", [json.dumps({key: image[key] for key in keys}) for image in data["images"]]),
        _with(
            _with(annotations, "is_difficult", [bool(note["difficult"]) for note in data["annotations"]]),
            "attributes",
            [json.dumps({"group_of": note["group_of"]}) for note in data["annotations"]],
        ),
        _with(categories, "attributes", [json.dumps({"frequency": row["frequency"]}) for row in data["categories"]]),
        predictions,
    )


def _with(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))


def evaluated(data: dict[str, Any], n_shards: int = 1, **stated: Any) -> dict[str, pa.Table]:
    found = run_evaluation(tables_of(data), EvaluateSettings(bootstrap=10, **stated), n_shards=n_shards)
    for name in ("matches", "class_metrics", "summary_metrics"):
        schema.conform(found.tables[name], name)
    return found.tables


def summary_of(tables: dict[str, pa.Table]) -> dict[str, float | None]:
    rows = tables["summary_metrics"]
    return dict(zip(rows["metric"].to_pylist(), rows["value"].to_pylist(), strict=True))


def by_class(tables: dict[str, pa.Table], column: str) -> dict[str, float | None]:
    rows = tables["class_metrics"].filter(pc.equal(tables["class_metrics"]["area_range"], "all"))
    return dict(zip(rows["category_name"].to_pylist(), rows[column].to_pylist(), strict=True))


@pytest.mark.parametrize("n_shards", [1, 4])
@pytest.mark.parametrize(("numbers", "cap"), [("lvis", None), ("lvis_cap_5", 5)])
@pytest.mark.parametrize("number", SCENES)
def test_lvis_gives_the_numbers_of_its_own_evaluator(number: int, numbers: str, cap: int | None, n_shards: int) -> None:
    scene = GOLDEN["scenes"][number]
    ours = summary_of(evaluated(scene["data"], n_shards, protocol="lvis", max_detections=cap))
    assert set(ours) == set(scene["numbers"][numbers])
    for name, value in scene["numbers"][numbers].items():
        assert ours[name] == value, name


OPEN_IMAGES = {"open_images_v2": {"group_of_weight": 0}, "challenge": {}, "challenge_expanded": {}}


@pytest.mark.parametrize("n_shards", [1, 4])
@pytest.mark.parametrize("numbers", OPEN_IMAGES)
@pytest.mark.parametrize("number", SCENES)
def test_open_images_gives_the_numbers_of_the_api(number: int, numbers: str, n_shards: int, tmp_path: Path) -> None:
    scene = GOLDEN["scenes"][number]
    more: dict[str, Any] = dict(OPEN_IMAGES[numbers])
    if numbers != "open_images_v2":
        rows = "".join(f"{image},verification,{name},{sign}\n" for image, name, sign in scene["data"]["image_labels"])
        (tmp_path / "labels.csv").write_text("ImageID,Source,LabelName,Confidence\n" + rows)
        more["image_labels"] = str(tmp_path / "labels.csv")
    if numbers == "challenge_expanded":
        (tmp_path / "hierarchy.json").write_text(json.dumps(GOLDEN["hierarchy"]))
        more["hierarchy"] = str(tmp_path / "hierarchy.json")
    check_ap50(evaluated(scene["data"], n_shards, protocol="open_images", **more), scene["numbers"][numbers])


@pytest.mark.parametrize("n_shards", [1, 4])
@pytest.mark.parametrize("number", SCENES)
def test_pascal_gives_the_numbers_of_the_api(number: int, n_shards: int) -> None:
    scene = GOLDEN["scenes"][number]
    found = evaluated(scene["data"], n_shards, protocol="pascal")
    check_ap50(found, scene["numbers"]["pascal"])
    assert by_class(found, "voc_ap50_area") == by_class(found, "ap")


def check_ap50(tables: dict[str, pa.Table], expected: dict[str, float | None]) -> None:
    mean = expected["mAP@0.5IOU"]
    assert summary_of(tables)["AP50"] == pytest.approx(mean, rel=0, abs=1e-12)
    for name, value in by_class(tables, "ap50").items():
        assert value == pytest.approx(expected[name], rel=0, abs=1e-12), name


@pytest.mark.parametrize("protocol", ["pascal", "open_images"])
def test_what_a_protocol_does_not_define_is_null(protocol: str) -> None:
    tables = evaluated(GOLDEN["scenes"][2]["data"], protocol=protocol)
    assert tables["class_metrics"]["area_range"].unique().to_pylist() == ["all"]
    for column in ("ap75", "ap95", "ar1", "ar10", "ar100"):
        assert tables["class_metrics"][column].null_count == tables["class_metrics"].num_rows
    assert tables["matches"]["matched_small"].null_count == tables["matches"].num_rows
    assert tables["slices"].num_rows == 0
    low, high = by_class(tables, "ap_low"), by_class(tables, "ap_high")
    assert all(low[name] <= high[name] for name in low)  # type: ignore[operator]
    has_voc = tables["class_metrics"]["voc_ap50_11point"].null_count == 0
    assert has_voc == (protocol == "pascal")


def test_the_interval_of_an_area_holds_its_value() -> None:
    tables = evaluated(GOLDEN["scenes"][2]["data"], protocol="pascal")
    row = tables["summary_metrics"].slice(0, 1).to_pylist()[0]
    assert row["low"] <= row["value"] <= row["high"]


def test_detections_count_for_the_classes_above_where_asked_for(tmp_path: Path) -> None:
    (tmp_path / "hierarchy.json").write_text(json.dumps(GOLDEN["hierarchy"]))
    data = GOLDEN["scenes"][2]["data"]
    own = {"protocol": "open_images", "hierarchy": str(tmp_path / "hierarchy.json")}
    plain, more = (by_class(evaluated(data, expand_detections=flag, **own), "ap50") for flag in (False, True))
    assert more["class 5"] == plain["class 5"]
    assert more["class 1"] > plain["class 1"]  # type: ignore[operator]


def test_lvis_without_its_lists_is_refused() -> None:
    images, *rest = tables_of(GOLDEN["scenes"][0]["data"])
    bare = _with(images, "attributes", [None] * images.num_rows)
    with pytest.raises(DetrayError, match=r"needs neg_category_ids .* no image of val states"):
        run_evaluation((bare, *rest), EvaluateSettings(protocol="lvis"))


def test_a_hierarchy_of_other_classes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text('{"LabelName": "/m/0", "Subcategory": [{"LabelName": "/m/01"}]}')
    with pytest.raises(DetrayError, match="'/m/01', and none of them is a class of val"):
        evaluated(GOLDEN["scenes"][0]["data"], protocol="open_images", hierarchy=str(tmp_path / "h.json"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"LabelName": "a", "Subcategory": [3]}'])
def test_what_is_no_hierarchy_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text(text)
    with pytest.raises(DetrayError, match=r"h\.json"):
        evaluated(GOLDEN["scenes"][0]["data"], protocol="open_images", hierarchy=str(tmp_path / "h.json"))


def test_what_are_no_image_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DetrayError, match="is no CSV of image labels with the columns ImageID"):
        evaluated(GOLDEN["scenes"][0]["data"], protocol="open_images", image_labels=str(tmp_path / "labels.csv"))


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"protocol": "lvis", "iou_thresholds": [0.5]}, "the protocol lvis fixes iou_thresholds"),
        ({"protocol": "pascal", "strict_pycocotools": True}, "the protocol pascal fixes strict_pycocotools"),
        ({"protocol": "pascal", "iou_type": "segm"}, "pascal is about boxes here"),
        ({"hierarchy": "h.json"}, "hierarchy is of the protocol open_images, and the protocol is coco"),
        ({"area_ranges": {"small": [9.0, 1.0]}}, "area_ranges: small: expected the least and then the greatest"),
        ({"iou_thresholds": [0.5, 2]}, "expected `float` > 0.0 and <= 1.0, got 2"),
        ({"area_ranges": {"small": [9.0]}}, "area_ranges.small: expected `array`"),
    ],
)
def test_what_a_protocol_fixes_is_not_configured(stated: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        convert(stated, EvaluateSettings, "test")


def test_groups_of_open_images_take_in_detections_and_one_of_them_counts() -> None:
    data = {
        "images": [{"id": 1, "neg_category_ids": [], "not_exhaustive_category_ids": []}],
        "categories": [{"id": 1, "name": "a", "frequency": "f"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 100], "area": 1e4}
            | {"group_of": 1, "difficult": 0}
        ],
        "detections": [
            {"image_id": 1, "category_id": 1, "bbox": [place, 0, 20, 20], "score": 0.9 - place / 1000}
            for place in (0, 30, 60, 200)
        ],
    }
    counted = evaluated(data, protocol="open_images")
    assert counted["matches"]["outcome"].to_pylist() == ["true_positive", "ignored", "ignored", "false_positive"]
    assert summary_of(counted)["AP50"] == pytest.approx(1)
    assert summary_of(evaluated(data, protocol="open_images", group_of_weight=0))["AP50"] is None


def test_ap_is_the_mean_over_the_thresholds_that_are_asked_for() -> None:
    tables = evaluated(GOLDEN["scenes"][2]["data"], iou_thresholds=(0.3, 0.75))
    names = ["AP", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
    assert list(summary_of(tables)) == names
    assert tables["class_metrics"]["ap50"].null_count == tables["class_metrics"].num_rows
    assert tables["class_metrics"]["recall50"].null_count < tables["class_metrics"].num_rows
    assert np.unique(tables["pr_curves"]["iou_threshold"]).tolist() == [0.3, 0.5, 0.75]


PARAMETERS = (
    {"iouThrs": (0.5,), "areaRng": ((0, 256), (256, 1024), (1024, 1e10)), "cap": 100},
    {"iouThrs": (0.3, 0.5, 0.75), "areaRng": ((0, 1024), (1024, 9216), (9216, 1e10)), "cap": 3},
    {"iouThrs": (0.6, 0.7, 0.8, 1.0), "areaRng": ((100, 5000), (0, 0), (64, 64)), "cap": 1},
    {"iouThrs": tuple(k / 20 for k in range(4, 18)), "areaRng": ((0, 1024), (1024, 9216), (9216, 1e10)), "cap": 12},
)


@pytest.mark.parametrize("parameters", PARAMETERS)
@settings(max_examples=15, deadline=None)
@given(scenes())
def test_configured_numbers_are_those_of_pycocotools(
    parameters: dict[str, Any], drawn: tuple[GroundTruth, Detections]
) -> None:
    """With its parameters set to the same: precision and recall of each threshold and size, to the last bit."""
    thresholds, ranges, cap = (parameters[name] for name in ("iouThrs", "areaRng", "cap"))
    caps = [number for number in (1, 10) if number < cap] + [cap]
    everything = [[0, 1e10], *(list(limits) for limits in ranges)]
    oracle = evaluate(
        *as_coco(*drawn), params={"iouThrs": np.array(thresholds), "areaRng": everything, "maxDets": caps}
    )
    small, medium, large = (tuple(map(float, limits)) for limits in ranges)
    own = EvaluateSettings(
        bootstrap=0,
        iou_thresholds=thresholds,
        area_ranges=AreaRanges(small=small, medium=medium, large=large),
        max_detections=cap,
    )
    found = run_evaluation(as_tables(*as_coco(*drawn)), own).tables
    ours = summary_of(found)

    def mean(values: np.ndarray) -> float | None:
        known = values[values > -1]
        return float(known.mean()) if len(known) else None

    precision, recall = oracle.eval["precision"], oracle.eval["recall"]
    expected = {"AP": mean(precision[:, :, :, 0, -1])}
    for name, threshold in (("AP50", 0.5), ("AP75", 0.75)):
        if threshold in thresholds:
            expected[name] = mean(precision[thresholds.index(threshold), :, :, 0, -1])
    expected |= {f"AP{size}": mean(precision[:, :, :, area, -1]) for area, size in ((1, "s"), (2, "m"), (3, "l"))}
    expected |= {f"AR{number}": mean(recall[:, :, 0, place]) for place, number in enumerate(caps)}
    expected |= {f"AR{size}": mean(recall[:, :, area, -1]) for area, size in ((1, "s"), (2, "m"), (3, "l"))}
    assert ours == expected
    assert list(ours) == list(expected)


@settings(max_examples=20, deadline=None)
@given(scenes())
def test_a_threshold_under_a_half_moves_nothing_that_is_told_at_a_half(drawn: tuple[GroundTruth, Detections]) -> None:
    rows = as_tables(*as_coco(*drawn))
    plain = run_evaluation(rows, EvaluateSettings(bootstrap=0)).tables
    more = run_evaluation(rows, EvaluateSettings(bootstrap=0, iou_thresholds=(0.2, 0.3))).tables
    assert more["image_metrics"].equals(plain["image_metrics"])
    assert more["confusion"].equals(plain["confusion"])
    told = ["outcome", "error", "annotation_id", "voc_match"]
    assert more["matches"].select(told).equals(plain["matches"].select(told))
    told = ["recall50", "best_f1", "best_f1_threshold", "n_detections", "ece", "voc_ap50_area", "voc_ap50_11point"]
    assert more["class_metrics"].select(told).equals(plain["class_metrics"].select(told))
    told = ["error", "n", "d_ap50"]
    assert more["errors"].select(told).equals(plain["errors"].select(told))

"""detray as a library: the commands' own tables, from files, dictionaries and arrays."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import detray
from detray import cli
from detray.errors import DetrayError, UsageError
from detray.store import Store

BOXES = [[10 * i, 10, 30, 40] for i in range(6)]
TRUTH: dict[str, Any] = {
    "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2, 3)],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [
        {"id": i + 1, "image_id": 1 + i % 3, "category_id": 1 + i % 2, "bbox": box, "area": 1200, "iscrowd": 0}
        for i, box in enumerate(BOXES)
    ],
}
COLUMNS = {
    "image_id": np.array([1 + i % 3 for i in range(6)]),
    "category_id": np.ones(6, np.int64),
    "bbox": np.array(BOXES, np.float64),
    "score": np.linspace(0.9, 0.4, 6),
}
RESULTS = [
    {"image_id": 1 + i % 3, "category_id": 1, "bbox": box, "score": float(COLUMNS["score"][i])}
    for i, box in enumerate(BOXES)
]
PLAIN = {"evaluate.bootstrap": 0}


def test_the_same_tables_as_the_command(tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH))
    (tmp_path / "dets.json").write_text(json.dumps(RESULTS))
    files = [str(tmp_path / name) for name in ("gt.json", "dets.json")]
    options = ["--serial", "--output", str(tmp_path / "out"), "--set", "evaluate.bootstrap=0"]
    assert cli.main(["evaluate", *files, *options]) == 0
    store = Store(str(tmp_path / "out"))
    found = detray.evaluate(*files, settings=PLAIN)
    for name in ("class_metrics", "summary_metrics", "pr_curves", "errors"):
        assert found[name].drop_columns(["run", "run_id"]).equals(store.read(name).drop_columns(["run", "run_id"])), (
            name
        )
    assert found.class_metrics.to_pandas().shape[0] == found["class_metrics"].num_rows


@pytest.mark.parametrize(
    "detections",
    [
        RESULTS,
        COLUMNS,
        {name: values.tolist() for name, values in COLUMNS.items()},
        pa.table({name: values.tolist() for name, values in COLUMNS.items()}),
    ],
    ids=["results", "arrays", "lists", "arrow"],
)
def test_whatever_the_detections_come_in(detections: Any) -> None:
    found = detray.evaluate(TRUTH, detections, settings=PLAIN)
    row = found.class_metrics.to_pylist()[0]
    assert (row["category_name"], row["area_range"], row["n_ground_truth"], row["n_detections"]) == ("cat", "all", 3, 6)
    assert row["ap"] == pytest.approx(detray.evaluate(TRUTH, RESULTS, settings=PLAIN).class_metrics[
        "ap"][0].as_py())  # fmt: skip


FRAME = pd.DataFrame({name: list(values) for name, values in COLUMNS.items()})
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"image_id": COLUMNS["image_id"] + 0.5}, "image_id of row 0 is 1.5, and not a whole number"),
    ({"image_id": np.full(6, np.nan)}, "image_id of row 0 is nan, and not a whole number"),
    ({"category_id": list("111111")}, "category_id is not an array of numbers"),
    ({"bbox": np.ones((6, 5))}, r"bbox has the shape \[6, 5\], and not \[6, 4\]"),
    ({"bbox": [*BOXES[:5], [1]]}, "bbox is not an array of numbers"),
    ({"score": np.ones((6, 1))}, r"score has the shape \[6, 1\], and not \[6\]"),
    ({"score": 0.5}, "score is not an array of numbers"),
    ({"score": ["high"] * 6}, "score is not an array of numbers"),
]


@pytest.mark.parametrize(("change", "said"), WRONG, ids=[said[:20] for _, said in WRONG])
def test_columns_of_a_wrong_shape_or_type(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"detections: {said}"):
        detray.evaluate(TRUTH, COLUMNS | change, settings=PLAIN)


@pytest.mark.parametrize("detections", [None, 3, (row for row in RESULTS)], ids=["none", "number", "generator"])
def test_what_holds_no_detections(detections: Any) -> None:
    with pytest.raises(UsageError, match=r"detections: .* is neither a path nor"):
        detray.evaluate(TRUTH, detections, settings=PLAIN)


@pytest.mark.parametrize(
    "change",
    [{"score": np.array([0.9, np.nan, *[0.5] * 4])}, {"score": [0.9, None, *[0.5] * 4]},
     {"bbox": [BOXES[0], [np.inf, 0, 1, 1], *BOXES[2:]]}],
    ids=["nan", "none", "infinite"],
)  # fmt: skip
def test_a_row_that_is_not_finite_is_left_out_and_told(change: dict[str, Any]) -> None:
    found = detray.evaluate(TRUTH, COLUMNS | change, settings=PLAIN)
    assert found.quarantine["row"].to_pylist() == [1]
    assert found.predictions.num_rows == 5


@pytest.mark.parametrize("nothing", [[], {name: [] for name in COLUMNS}, FRAME[:0]], ids=["list", "columns", "frame"])
def test_no_detection_at_all_is_an_ap_of_zero(nothing: Any) -> None:
    found = detray.evaluate(TRUTH, nothing, settings=PLAIN)
    assert {row["ap"] for row in found.class_metrics.to_pylist() if row["area_range"] == "all"} == {0.0}
    assert not found.predictions.to_pandas().shape[0]
    assert detray.diagnose(TRUTH, nothing, settings=PLAIN).diagnoses.num_rows


BOXES_ALONE = {name: [row[name] for row in TRUTH["annotations"]] for name in ("image_id", "category_id", "bbox")}


@pytest.mark.parametrize(
    "truth",
    [
        BOXES_ALONE,
        {name: np.array(values) for name, values in BOXES_ALONE.items()},
        pa.table(BOXES_ALONE),
        pd.DataFrame(BOXES_ALONE),
        TRUTH | {"annotations": pd.DataFrame(TRUTH["annotations"]), "images": pa.Table.from_pylist(TRUTH["images"])},
    ],
    ids=["lists", "arrays", "arrow", "frame", "parts"],
)
def test_whatever_the_annotations_come_in(truth: Any) -> None:
    for detections in (COLUMNS, FRAME, detray.evaluate(TRUTH, RESULTS, settings=PLAIN).predictions):
        found = detray.evaluate(truth, detections, settings=PLAIN)
        expected = detray.evaluate(TRUTH, RESULTS, settings=PLAIN)
        assert found.class_metrics["ap"].equals(expected.class_metrics["ap"])
    tables = detray.evaluate(TRUTH, RESULTS, settings=PLAIN)
    own = {name: tables[name] for name in ("images", "annotations", "categories")}
    assert detray.evaluate(own, COLUMNS, settings=PLAIN).class_metrics["ap"].equals(expected.class_metrics["ap"])
    assert detray.audit(own).findings["rule"].to_pylist() == detray.audit(TRUTH).findings["rule"].to_pylist()
    twice = detray.evaluate(TRUTH, RESULTS, settings=PLAIN).annotations
    assert detray.audit(pa.concat_tables([twice, twice])).findings["rule"].to_pylist().count("duplicate-box") == 6
    named = detray.audit(BOXES_ALONE | {"category_name": ["cat", "dog"] * 3}).categories
    assert named["category_name"].to_pylist() == ["cat", "dog"]


def test_audit_and_diagnose() -> None:
    twice = TRUTH | {"annotations": [*TRUTH["annotations"], TRUTH["annotations"][0] | {"id": 99}]}
    assert "duplicate-box" in detray.audit(twice).findings["rule"].to_pylist()
    quiet = detray.audit(twice, settings={"audit.disable": ["duplicate-box"]})
    assert "duplicate-box" not in quiet.findings["rule"].to_pylist()
    found = detray.diagnose(TRUTH, RESULTS, train=TRUTH, settings=PLAIN)
    assert "dog" in found.diagnoses["category_name"].to_pylist()
    assert any("dog" in line for line in found.lines)
    assert {"class_metrics", "label_errors"} <= set(found)
    assert "diagnoses: " in repr(found)
    compared = detray.evaluate(TRUTH, RESULTS, against=RESULTS[:3], settings=PLAIN)
    assert compared.comparisons.num_rows


def test_what_is_wrong_is_an_error_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="no column bbox"):
        detray.evaluate(TRUTH, {"image_id": [1], "category_id": [1], "score": [0.5]})
    with pytest.raises(UsageError, match="not equally long"):
        detray.evaluate(TRUTH, COLUMNS | {"score": np.ones(2)})
    with pytest.raises(UsageError, match="annotations: holds what JSON cannot"):
        detray.audit({"images": [object()]})
    with pytest.raises(UsageError, match=r"settings, audit\.disable: holds what JSON cannot"):
        detray.audit(TRUTH, settings={"audit.disable": object()})
    with pytest.raises(
        UsageError, match=r"^annotations\.json: its content is of no known format"
    ):  # and no place in /tmp
        detray.audit({})
    with pytest.raises(UsageError, match="--help: no such file"):
        detray.audit("--help")
    with pytest.raises(UsageError, match="unknown key"):
        detray.audit(TRUTH, settings={"audit.disabled": []})
    with pytest.raises(DetrayError, match="no such file"):
        detray.audit("nowhere.json")
    with pytest.raises(AttributeError, match="there is no table trials"):
        _ = detray.audit(TRUTH).trials


def test_neither_ray_nor_tensorflow_is_needed(tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH))
    (tmp_path / "dets.json").write_text(json.dumps(RESULTS))
    script = (
        "import sys, detray\n"
        "assert not {'numpy', 'pyarrow', 'msgspec'} & sys.modules.keys()\n"
        "sys.modules['ray'] = sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "import detray.audit.flow\n"  # whoever imports it, it can be called
        "files = sys.argv[1:]\n"
        "assert detray.audit(files[0]).class_stats.num_rows\n"
        "assert detray.evaluate(*files).class_metrics.num_rows\n"
        "assert detray.diagnose(*files).diagnoses.num_rows"
    )
    files = [str(tmp_path / name) for name in ("gt.json", "dets.json")]
    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_settings_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(UsageError, match="settings are a mapping"):
        detray.evaluate(TRUTH, RESULTS, settings=["evaluate.bootstrap=0"])  # type: ignore[arg-type]

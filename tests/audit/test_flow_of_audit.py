"""The flow of the audit, over files and in memory, and what the stage takes for it from the configuration."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from audit_data import TABLES, Dataset, dataset
from outputs import run_stage, write_data_set
from PIL import Image

from detray.audit import flow as audit_flow
from detray.audit.flow import AuditInputs, audit
from detray.audit.settings import AuditSettings
from detray.detectors.training.class_weights import class_weights
from detray.detectors.training.loop import check_class_names
from detray.errors import UsageError
from detray.flow.data import MemoryData
from detray.flow.executor import InProcess, Job
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper, MemoryKeeper
from detray.flow.memory import InMemoryRun, run_in_memory
from detray.settings import convert, parse_yaml
from detray.store import Stage, Store
from detray.verbs.audit import STAGE
from detray.verbs.base import Context
from detray.verbs.config import Config


def _audited(data: Dataset, cuts: int = 1, inputs: AuditInputs | None = None) -> InMemoryRun:
    shards, _ = data.shards(cuts)
    return run_in_memory(audit, MemoryData(shards), inputs or AuditInputs("test"), tables=TABLES)


def _mixed() -> Dataset:
    """Faults of every kind, some of which lie in several shards."""
    rng = np.random.default_rng(3)
    boxes: list[dict[str, Any]] = [
        {
            "image": int(rng.integers(1, 31)),
            "class": int(rng.integers(1, 3)),
            "box": [*rng.uniform(0, 40, 2).round(2).tolist(), *rng.uniform(2, 35, 2).round(2).tolist()],
        }
        for _ in range(300)
    ]
    for entry in boxes[::25]:
        entry["box"] = [95.0, 5.0, 20.0, 20.0]
    boxes[7]["box"] = [5.0, 5.0, 0.0, 9.0]
    boxes[11]["annotation_id"] = boxes[200]["annotation_id"] = 77_777
    boxes[12] |= {"class": 9}
    boxes[13] |= {"image": 99}
    boxes.append(dict(boxes[40]))
    return dataset(boxes=boxes, images=30, categories={1: "cell", 2: "vial", 3: "flask"})


@pytest.mark.parametrize(("cuts", "keys_per_bucket"), [(1, 1_000_000), (4, 50)])
def test_files_and_memory_tell_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: int, keys_per_bucket: int
) -> None:
    monkeypatch.setattr(audit_flow, "KEYS_PER_BUCKET", keys_per_bucket)
    store = Store(str(tmp_path))
    write_data_set(store, _mixed().shards(cuts)[0])
    outcome = run_stage(STAGE, Context(convert({"name": "test"}, Config, "test"), store, InProcess(threads=3)))
    expected = _audited(_mixed())
    found = store.read("findings").sort_by("finding_id")
    assert found.equals(expected.tables["findings"].sort_by("finding_id"))
    assert store.read("class_stats").equals(expected.tables["class_stats"])
    assert outcome == expected.outcome
    assert store.read("image_stats").num_rows == 0


def test_faults_of_every_kind_are_counted() -> None:
    run = _audited(_mixed(), cuts=4)
    found, facts = run.tables["findings"], run.outcome.facts
    present = {"degenerate-box", "out-of-bounds", "duplicate-annotation-id", "unknown-category", "orphan-annotation"}
    assert present | {"duplicate-box", "absent-class"} <= set(found["rule"].to_pylist())
    assert facts["max_severity"] == 3
    assert sum(facts["findings_by_severity"].values()) == found.num_rows
    assert facts["findings_by_severity"]["error"] == pc.sum(pc.equal(found["severity"], 3)).as_py()
    assert not facts["pictures_checked"]
    assert any("pictures not checked" in note for note in run.outcome.notes)


def test_many_rows_of_one_fault_are_one_thing_to_look_at() -> None:
    run = _audited(_mixed(), cuts=3)
    found = run.tables["findings"].filter(pc.equal(run.tables["findings"]["rule"], "out-of-bounds"))
    root = found.filter(pc.equal(found["scope"], "split")).to_pylist()
    assert len(root) == 1
    assert root[0]["count"] == 12
    assert found["root_cause_id"].to_pylist().count(root[0]["finding_id"]) == 12
    (line,) = [row for row in run.outcome.summary[0].rows if row[0] == "out-of-bounds"]
    assert line == ["out-of-bounds", "warning", 1, 12]


def test_classes_with_one_fault_are_counted() -> None:
    names = {key: f"c{key}" for key in range(1, 13)}
    boxes = [{"class": key, "image": 1, "box": [key, key, 9 + key, 30]} for key in names]
    run = _audited(dataset(boxes=boxes, categories=names))
    (line,) = [row for row in run.outcome.summary[0].rows if row[0] == "few-examples"]
    assert line == ["few-examples", "warning", 1, 12]


def test_class_statistics() -> None:
    boxes = [
        {"box": [0, 0, 16, 16]},
        {"box": [0, 0, 32, 32]},
        {"image": 2, "box": [0, 0, 64, 64]},
        {"image": 2, "box": [0, 0, 50, 50], "is_crowd": True},
        {"image": 2, "class": 2, "box": [0, 0, 0, 10]},
    ]
    data = dataset(boxes=boxes, images=100, categories={1: "cell", 2: "vial", 3: "flask"})
    cell, vial, flask = _audited(data, cuts=2).tables["class_stats"].to_pylist()
    assert (cell["n_boxes"], cell["n_images"], cell["n_crowd"]) == (4, 2, 1)
    assert (cell["n_small"], cell["n_medium"], cell["n_large"]) == (2, 1, 0)
    assert (cell["size_p05"], cell["size_p50"], cell["size_p95"]) == (16, 32, 64)
    assert (cell["aspect_p50"], cell["share"], cell["boxes_per_image"]) == (1, 0.8, 2)
    assert cell["max_boxes_per_image"] == 2
    assert cell["oversample_factor"] == pytest.approx((0.1 / 0.02) ** 0.5)
    weight = pytest.approx(cell["weight_effective_number"], rel=1e-3)
    assert parse_yaml(cell["config_fragment"], "") == {
        "train": {"class_weights": {"cell": weight}, "oversample": {"cell": 2.236}}
    }
    assert flask["config_fragment"] is None
    assert vial["n_findings_error"] == 1
    assert vial["size_p50"] is None
    assert (flask["n_boxes"], flask["share"], flask["weight_effective_number"]) == (0, 0, None)
    assert cell["weight_inverse_frequency"] + vial["weight_inverse_frequency"] == pytest.approx(2)
    assert vial["weight_inverse_frequency"] == pytest.approx(4 * cell["weight_inverse_frequency"])


def test_the_suggested_settings_are_settings() -> None:
    odd = {1: "traffic light: red", 2: "yes", 3: "Ampel 'grün'", 4: "7", 5: "a\nb # c"}
    boxes = [{"class": key, "image": image} for key in odd for image in range(1, key + 1)]
    data = dataset(boxes=boxes, images=[{"split": "train"}] * 500, categories=odd, splits=("train",))
    rows = _audited(data, cuts=2).tables["class_stats"].to_pylist()
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        fragment = parse_yaml(row["config_fragment"], "fragment")
        check_class_names(convert(fragment, Config, "fragment").train, odd)
        for key, value in fragment["train"].items():
            merged.setdefault(key, {}).update(value)
    train = convert({"train": merged}, Config, "merged").train
    factors = {row["category_name"]: row["oversample_factor"] for row in rows}
    assert train.oversample == pytest.approx(factors, rel=1e-3)
    labels = np.array([entry["class"] - 1 for entry in boxes], np.int32)
    expected = class_weights(labels, list(odd.values()), "effective_number")
    assert class_weights(labels, list(odd.values()), train.class_weights) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("per_task", [1, 2, 512])
def test_pictures_are_read_where_a_folder_is_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_task: int
) -> None:
    monkeypatch.setattr(audit_flow, "PICTURES_PER_TASK", per_task)
    folder = tmp_path / "pictures"
    folder.mkdir()
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(stream, "JPEG")
    contents = {"whole": stream.getvalue(), "broken": stream.getvalue()[:-300], "text": b"no picture"}
    for name, content in contents.items():
        (folder / f"{name}.jpg").write_bytes(content)
    names = ["whole", "broken", "text", "absent", "whole"]
    images = [{"file_name": f"{name}.jpg", "path": str(folder / f"{name}.jpg")} for name in names]
    images[4] |= {"width": 200, "height": 160}
    run = _audited(dataset(images=images, boxes=[{}]), 2, AuditInputs(pictured=("val",)))
    assert run.outcome.facts["pictures_checked"]
    found = run.tables["findings"].filter(pc.equal(run.tables["findings"]["family"], "image")).to_pylist()
    bad = {(row["rule"], row["image_id"]) for row in found if row["severity"] == 3}
    assert bad == {("corrupt-image", 2), ("corrupt-image", 3), ("missing-image", 4), ("size-mismatch", 5)}
    stats = {row["image_id"]: row for row in run.tables["image_stats"].to_pylist()}
    assert len(stats) == 5
    assert stats[1]["is_decoded"]
    assert (stats[1]["real_width"], stats[1]["real_height"], stats[1]["bytes"]) == (100, 80, len(contents["whole"]))
    assert stats[1]["content_hash"] == stats[5]["content_hash"] != stats[2]["content_hash"]
    assert stats[2]["problem"].startswith("truncated")
    assert stats[4]["problem"] == "missing"
    assert 100 < stats[1]["brightness"] < 155


def test_a_rule_that_is_switched_off_reads_no_quarantine() -> None:
    aside = [{"split": "val", "source_file": "a.xml", "reason": "not-xml", "detail": "line 3"}]
    assert dataset().audited("unreadable-annotation-file", quarantine=aside).num_rows == 1
    assert dataset().audited("tiny-box", quarantine=aside).num_rows == 0


def test_an_audit_that_died_goes_on_from_its_whole_shards(tmp_path: Path) -> None:
    write_data_set(Store(str(tmp_path)), _mixed().shards(4)[0])
    store = Store(str(tmp_path))
    stage = Stage(store, "audit")

    class Dying(InProcess):
        def run(self, job: Job, keys: Any, resources: Any, note: Any) -> Any:
            yield from super().run(job, keys[:2], resources, note)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(Flow(store, FileKeeper(stage, stage.begin("test")), Dying(threads=1)), AuditInputs("test"))
    assert set(stage.begin("test")) == {"rules-00000", "rules-00001"}
    run_stage(STAGE, Context(convert({"name": "test"}, Config, "test"), store, InProcess()))
    expected = _audited(_mixed()).tables["findings"].sort_by("finding_id")
    assert store.read("findings").sort_by("finding_id").equals(expected)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rules": {"tiny-boxes": {}}}, "there is no rule 'tiny-boxes'"),
        ({"disable": ["degenerate-bos"]}, "did you mean 'degenerate-box'?"),
        ({"rules": {"imbalance": {"ratio": 3}}}, "did you mean 'min_ratio'?"),
        ({"rules": {"degenerate-box": {"min_side": 3}}}, "it has no thresholds"),
        ({"rules": {"imbalance": {"min_ratio": True}}}, "True is not a number from 1 to 1e+09 times"),
        ({"rules": {"out-of-bounds": {"tolerance": -1}}}, "-1 is not a number from 0 to 1000 px"),
    ],
)
def test_settings_that_no_rule_has_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        _audited(dataset(), inputs=AuditInputs(settings=convert(settings, AuditSettings, "audit")))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("default", set()),
        ("strong", {"edge"}),
        ("none", set()),
        ({"shift": {"p": 0.9, "amount": 0.2}}, {"edge"}),
        ({"flip": {}, "mosaic": {"p": 0.1}, "hue": {}}, set()),
    ],
)
def test_what_the_training_augmentation_loses(tmp_path: Path, policy: object, expected: set[str]) -> None:
    boxes: list[dict[str, Any]] = []
    for image in range(1, 31):
        boxes.append({"image": image, "box": [40.0, 30.0, 20.0, 20.0]})
        boxes += [{"image": image, "class": 2, "box": [x, y, 3.0, 3.0]} for x in (0.0, 97.0) for y in (0.0, 77.0)]
    data = dataset(
        boxes=boxes, images=[{"split": "train"}] * 30, categories={1: "middle", 2: "edge"}, splits=("train",)
    )
    values = {"dataset": {"splits": {"train": {"annotations": "x"}}}, "train": {"augmentation": policy}}
    context = Context(convert(values, Config, "test"), Store(str(tmp_path)), InProcess())
    keeper = MemoryKeeper()
    assert STAGE.run is not None
    STAGE.run(context, Flow(MemoryData(data.shards(2)[0]), keeper, context.executor))
    found = keeper.tables(*TABLES)["findings"]
    found = found.filter(pc.equal(found["rule"], "augmentation-drop"))
    assert set(found["category_name"].to_pylist()) == expected

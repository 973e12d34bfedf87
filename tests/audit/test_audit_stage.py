"""The stage audit on a data set that ingest has written."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from audit_data import Dataset, dataset
from detray.audit.engine import audit
from PIL import Image

from detray import schema
from detray.audit.catalogue import RULES
from detray.audit.rule import activate
from detray.cluster.executor import SerialExecutor
from detray.detectors.class_weights import class_weights
from detray.detectors.training import check_class_names
from detray.errors import UsageError
from detray.settings import convert, parse_yaml
from detray.store import Stage, Store
from detray.verbs.audit import STAGE
from detray.verbs.base import Context, Outcome
from detray.verbs.config import Config


def _ingest(store: Store, data: Dataset, cuts: int, quarantine: list[dict[str, Any]] | None = None) -> None:
    stage = Stage(store, "ingest")
    shards, _ = data.shards(cuts)
    keys = [
        {
            "index": index,
            "split": shard.split,
            "low": None,
            "high": None,
            "n_images": shard.images.num_rows,
            "n_annotations": shard.annotations.num_rows,
        }
        for index, shard in enumerate(shards)
    ]
    aside = schema.from_rows("quarantine", quarantine or [], run="test")
    receipts = [
        stage.write(
            f"{index:05d}",
            {"images": shard.images, "annotations": shard.annotations}
            | ({"categories": data.categories} if index == 0 else {})
            | ({"quarantine": aside} if index == len(shards) - 1 else {}),  # any part may have some, or none
        )
        for index, shard in enumerate(shards)
    ]
    stage.old_commit(receipts, {"facts": {"shards": keys}}, "", ["images", "annotations"], keep_names=True)


def _audit(folder: Path, config: dict[str, Any] | None = None) -> tuple[Store, Outcome]:
    store = Store(str(folder))
    context = Context(convert({"name": "test"} | (config or {}), Config, "test"), store, SerialExecutor())
    stage = Stage(store, "audit")
    outcome = STAGE.old(context, stage, stage.begin("one"))
    stage.old_commit(outcome.receipts, {"facts": outcome.facts}, "", STAGE.tables)
    return store, outcome


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


@pytest.mark.parametrize("cuts", [1, 4])
def test_the_stage_finds_what_the_plain_function_finds(tmp_path: Path, cuts: int) -> None:
    data = _mixed()
    _ingest(Store(str(tmp_path)), data, cuts)
    store, outcome = _audit(tmp_path)
    found = store.read("findings").sort_by("finding_id")
    shards, _ = data.shards()
    expected = audit(shards, data.summary(), activate(RULES, {}), run="test")
    assert found.equals(expected)
    present = {"degenerate-box", "out-of-bounds", "duplicate-annotation-id", "unknown-category", "orphan-annotation"}
    assert present | {"duplicate-box", "absent-class"} <= set(found["rule"].to_pylist())
    assert outcome.facts["max_severity"] == 3
    assert sum(outcome.facts["findings_by_severity"].values()) == found.num_rows
    assert outcome.facts["findings_by_severity"]["error"] == pc.sum(pc.equal(found["severity"], 3)).as_py()
    assert not outcome.facts["pictures_checked"]
    assert any("pictures not checked" in note for note in outcome.notes)
    assert store.read("image_stats").num_rows == 0


def test_many_rows_of_one_fault_are_one_thing_to_look_at(tmp_path: Path) -> None:
    _ingest(Store(str(tmp_path)), _mixed(), 3)
    store, outcome = _audit(tmp_path)
    found = store.read("findings", filters=[("rule", "=", "out-of-bounds")])
    root = found.filter(pc.equal(found["scope"], "split")).to_pylist()
    assert len(root) == 1
    assert root[0]["count"] == 12
    assert found["root_cause_id"].to_pylist().count(root[0]["finding_id"]) == 12
    (line,) = [row for row in outcome.summary[0].rows if row[0] == "out-of-bounds"]
    assert line == ["out-of-bounds", "warning", 1, 12]


def test_classes_with_one_fault_are_counted(tmp_path: Path) -> None:
    names = {key: f"c{key}" for key in range(1, 13)}
    boxes = [{"class": key, "image": 1, "box": [key, key, 9 + key, 30]} for key in names]
    _ingest(Store(str(tmp_path)), dataset(boxes=boxes, categories=names), 1)
    _, outcome = _audit(tmp_path)
    (line,) = [row for row in outcome.summary[0].rows if row[0] == "few-examples"]
    assert line == ["few-examples", "warning", 1, 12]


def test_class_statistics(tmp_path: Path) -> None:
    boxes = [
        {"box": [0, 0, 16, 16]},
        {"box": [0, 0, 32, 32]},
        {"image": 2, "box": [0, 0, 64, 64]},
        {"image": 2, "box": [0, 0, 50, 50], "is_crowd": True},
        {"image": 2, "class": 2, "box": [0, 0, 0, 10]},
    ]
    data = dataset(boxes=boxes, images=100, categories={1: "cell", 2: "vial", 3: "flask"})
    _ingest(Store(str(tmp_path)), data, 2)
    store, _ = _audit(tmp_path)
    cell, vial, flask = store.read("class_stats").to_pylist()
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


def test_the_suggested_settings_are_settings(tmp_path: Path) -> None:
    odd = {1: "traffic light: red", 2: "yes", 3: "Ampel 'grün'", 4: "7", 5: "a\nb # c"}
    boxes = [{"class": key, "image": image} for key in odd for image in range(1, key + 1)]
    data = dataset(boxes=boxes, images=[{"split": "train"}] * 500, categories=odd, splits=("train",))
    _ingest(Store(str(tmp_path)), data, 2)
    rows = _audit(tmp_path)[0].read("class_stats").to_pylist()
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
    monkeypatch.setattr("detray.verbs.audit.PICTURES_PER_TASK", per_task)
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
    _ingest(Store(str(tmp_path / "out")), dataset(images=images, boxes=[{}]), 2)
    splits = {"dataset": {"root": str(tmp_path), "splits": {"val": {"annotations": "x", "images": "pictures"}}}}
    store, outcome = _audit(tmp_path / "out", splits)
    assert outcome.facts["pictures_checked"]
    found = store.read("findings", filters=[("family", "=", "image")]).to_pylist()
    bad = {(row["rule"], row["image_id"]) for row in found if row["severity"] == 3}
    assert bad == {("corrupt-image", 2), ("corrupt-image", 3), ("missing-image", 4), ("size-mismatch", 5)}
    stats = {row["image_id"]: row for row in store.read("image_stats").to_pylist()}
    assert len(stats) == 5
    assert stats[1]["is_decoded"]
    assert (stats[1]["real_width"], stats[1]["real_height"], stats[1]["bytes"]) == (100, 80, len(contents["whole"]))
    assert stats[1]["content_hash"] == stats[5]["content_hash"] != stats[2]["content_hash"]
    assert stats[2]["problem"].startswith("truncated")
    assert stats[4]["problem"] == "missing"
    assert 100 < stats[1]["brightness"] < 155


def test_what_ingest_set_aside_is_found(tmp_path: Path) -> None:
    aside = [
        {"stage": "ingest", "split": "val", "source_file": "a.xml", "reason": "not-xml", "detail": "line 3"},
        {"stage": "ingest", "split": "val", "source_file": "b.csv", "row": 4, "reason": "unreadable-row"},
        {"stage": "ingest", "split": "val", "source_file": "c.record", "row": 5, "reason": "corrupt-record"},
        {"stage": "ingest", "split": "val", "source_file": "d.json", "row": 6, "reason": "category-without-id"},
    ]
    _ingest(Store(str(tmp_path)), dataset(), 2, aside)
    store, _ = _audit(tmp_path)
    found = store.read("findings", filters=[("rule", "=", "unreadable-annotation-file")]).to_pylist()
    assert {(row["scope"], row["annotation_row"], row["image_row"], row["message"]) for row in found} == {
        ("split", None, None, "a.xml: it cannot be read (not-xml: line 3)"),
        ("annotation", 4, None, "b.csv, row 4: it cannot be read (unreadable-row)"),
        ("image", None, 5, "c.record, record 5: it cannot be read (corrupt-record)"),
        ("class", None, None, "d.json, category entry 6: it cannot be read (category-without-id)"),
    }
    assert (
        _audit(tmp_path, {"audit": {"disable": ["unreadable-annotation-file"]}})[0]
        .read("findings", filters=[("rule", "=", "unreadable-annotation-file")])
        .num_rows
        == 0
    )


def test_an_audit_that_died_goes_on_from_its_whole_shards(tmp_path: Path) -> None:
    _ingest(Store(str(tmp_path)), _mixed(), 4)
    store = Store(str(tmp_path))
    stage = Stage(store, "audit")

    class Dying(SerialExecutor):
        def map(self, function: Any, tasks: Any, *, cpus: float = 1) -> Any:
            for number, task in enumerate(tasks):
                if number == 2:
                    raise KeyboardInterrupt
                yield function(task)

    config = convert({"name": "test"}, Config, "test")
    with pytest.raises(KeyboardInterrupt):
        STAGE.old(Context(config, store, Dying()), stage, stage.begin("one"))
    assert set(stage.begin("one")) == {"rows-00000", "rows-00001"}
    resumed, _ = _audit(tmp_path)
    shards, _ = _mixed().shards()
    expected = audit(shards, _mixed().summary(), activate(RULES, {}), run="test")
    assert resumed.read("findings").sort_by("finding_id").equals(expected)


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
def test_settings_that_no_rule_has_are_refused(tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    _ingest(Store(str(tmp_path)), dataset(), 1)
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?").replace("+", r"\+")):
        _audit(tmp_path, {"audit": settings})


@pytest.mark.parametrize(("policy", "expected"), [("default", set()), ("strong", {"edge"}), ("none", set())])
def test_what_the_training_augmentation_loses(tmp_path: Path, policy: str, expected: set[str]) -> None:
    boxes: list[dict[str, Any]] = []
    for image in range(1, 31):
        boxes.append({"image": image, "box": [40.0, 30.0, 20.0, 20.0]})
        boxes += [{"image": image, "class": 2, "box": [x, y, 3.0, 3.0]} for x in (0.0, 97.0) for y in (0.0, 77.0)]
    data = dataset(
        boxes=boxes, images=[{"split": "train"}] * 30, categories={1: "middle", 2: "edge"}, splits=("train",)
    )
    _ingest(Store(str(tmp_path)), data, 2)
    store, _ = _audit(
        tmp_path, {"dataset": {"splits": {"train": {"annotations": "x"}}}, "train": {"augmentation": policy}}
    )
    found = store.read("findings", filters=[("rule", "=", "augmentation-drop")])
    assert set(found["category_name"].to_pylist()) == expected

"""The stage on real files: what the flow says in memory, for any cut, bad rows included."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
import scenes
import suite
import yaml

from detray import cli
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.steps.classes import Shown
from detray.diagnose.summary import summary
from detray.flow.executor import InProcess
from detray.formats import canonical
from detray.formats.plain import dataset_from_files
from detray.settings import convert
from detray.store import Store
from detray.verbs import runner
from detray.verbs.base import Context
from detray.verbs.config import Config

COLUMNS = ("category_id", "rank", "cause", "confidence", "ap", "d_ap", "evidence", "sentence", "remedy_config")


def _run(folder: Path, gt: Path, dt: Path, **diagnose: object) -> Store:
    dataset = dataset_from_files(
        [str(gt)], train=diagnose.pop("train", None), label_map=diagnose.pop("label_map", None)
    )
    config = convert({"detector": {"kind": "predictions", "path": str(dt)}, "diagnose": diagnose}, Config, "test")
    config = Config(
        name="scene",
        output=str(folder),
        dataset=dataset,
        detector=config.detector,
        diagnose=config.diagnose,
        evaluate=convert({"bootstrap": 0}, type(config.evaluate), "test"),
    )
    store = Store(str(folder))
    runner.run(Context(config, store, InProcess()), ["diagnose"])
    return store


def _rows(store: Store) -> list[dict]:
    return store.read("diagnoses").select(list(COLUMNS)).to_pylist()


@pytest.mark.parametrize(
    "plant",
    ["class_confusion", "label_id_mismatch", "image_id_mismatch", "box_format", "missing_labels", "no_detections"],
)
def test_the_stage_says_what_the_flow_says_in_memory(plant: str, tmp_path: Path) -> None:
    tried = (suite.run_trial(seed, (plant,), "uniform", None) for seed in itertools.count(1))
    for seed, trial in enumerate(itertools.islice((one for one in tried if one is not None and suite.is_weak(one)), 2)):
        trial.world.train = trial.world.base = None
        trial.world.findings.clear()
        store = _run(tmp_path / str(seed), *scenes.coco_files(trial.world, tmp_path, str(seed)))
        plain = suite.diagnosed(trial.world, DiagnoseSettings()).select(list(COLUMNS)).to_pylist()
        assert _rows(store) == plain
        assert plain[0]["cause"]


@pytest.mark.parametrize("plant", [None, "label_id_mismatch", "box_format", "image_id_mismatch"])
def test_any_cut_gives_the_same_tables(plant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    world = scenes.detect(rng, scenes.uniform(rng, 120, 6), scenes.Quality())
    if plant is not None:
        scenes.PLANTS[plant](rng, world, 2)
    scenes.class_confusion(rng, world, 3)
    files = scenes.coco_files(world, tmp_path)
    whole = _run(tmp_path / "whole", *files)
    monkeypatch.setattr(canonical, "SHARD_ROWS", 100)
    monkeypatch.setattr(canonical, "BATCH_ROWS", 20)
    cut = _run(tmp_path / "cut", *files)
    assert len(cut.shards()) > len(whole.shards())
    assert _rows(cut) == _rows(whole)
    columns = ["image_id", "file_name", "annotation_row", "category_id", "kind", "score"]
    assert cut.read("label_errors").select(columns).equals(whole.read("label_errors").select(columns))


def test_rows_that_the_evaluation_leaves_out_are_looked_at(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 40, 3), scenes.Quality())
    world.dt_box = scenes.FORMATS["twice"](world.dt_box, world.size_of(world.dt_image))
    gt, dt = scenes.coco_files(world, tmp_path)
    store = _run(tmp_path / "out", gt, dt)
    assert store.read("quarantine", "predict").num_rows > 50
    assert {row["cause"] for row in _rows(store) if row["rank"] == 1} == {"box_format"}


def test_a_class_is_not_hidden_by_another_of_its_name_that_shares_a_fault() -> None:
    shared = [Shown(name, 0.1, 0.2, 1, "label_id_mismatch", 0.3, "", "") for name in ("a", *"bcdefghijk")]
    own = [
        Shown("a", 0.05, 0.1, rank, cause, 0.3, "", "")
        for rank, cause in enumerate(("missing_labels", "localization"), 1)
    ]
    rows = summary("val", [*shared, *own])[0].rows
    assert [(row[0], row[4]) for row in rows] == [
        ("11 classes", "label_id_mismatch"),
        ("a", "missing_labels"),
        ("a", "localization"),
    ]


@pytest.mark.parametrize(("n_classes", "told"), [(12, 1), (3, 3)])
def test_a_fault_of_a_whole_file_is_one_line_of_the_summary(
    n_classes: int, told: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 80, n_classes), scenes.Quality())
    world.dt_box = np.concatenate([world.dt_box[:, :2], world.dt_box[:, :2] + world.dt_box[:, 2:]], axis=1)
    gt, dt = scenes.coco_files(world, tmp_path)
    assert cli.main(["diagnose", str(gt), str(dt), "--serial", "--output", str(tmp_path / "out")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "box_format" in line]
    assert len(lines) == told
    assert lines[0].startswith("12 classes") == (told == 1)
    first = {row["category_id"] for row in _rows(Store(str(tmp_path / "out"))) if row["cause"] == "box_format"}
    assert len(first) == n_classes


def test_detections_of_unknown_images_alone_are_diagnosed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 40, 3), scenes.Quality())
    world.dt_image = world.dt_image + 1_000_000
    store = _run(tmp_path / "out", *scenes.coco_files(world, tmp_path))
    rows = _rows(store)
    assert {row["cause"] for row in rows if row["rank"] == 1} == {"image_id_mismatch"}
    assert all("plus 1000000" in row["sentence"] for row in rows if row["rank"] == 1)


def test_bad_rows_and_empty_lists_are_no_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 30, 3), scenes.Quality())
    gt, dt = scenes.coco_files(world, tmp_path)
    rows = json.loads(dt.read_text())
    rows[0] |= {"score": float("nan")}
    rows[1] |= {"bbox": [1, 2, -3, 4]}
    rows[2] |= {"image_id": "x", "score": 7}
    rows[3] |= {"category_id": 999}
    dt.write_text(json.dumps(rows))
    assert _rows(_run(tmp_path / "bad", gt, dt)) == []
    dt.write_text("[]")
    assert {row["cause"] for row in _rows(_run(tmp_path / "none", gt, dt))} == {"no_detections"}


def test_training_files_and_label_map_are_read(tmp_path: Path) -> None:
    trial = suite.run_trial(0, ("absent_in_training",), "uniform", None)
    assert trial is not None
    assert trial.world.train is not None
    train, train_dt = scenes.coco_files(trial.world.train, tmp_path, "train")
    rows = json.loads(train_dt.read_text())
    bad = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    train_dt.write_text(json.dumps([*rows, bad | {"score": None}, bad | {"bbox": [1]}]))
    gt, dt = scenes.coco_files(trial.world, tmp_path)
    names = {k: name for k, name in trial.world.names.items() if k != trial.category}
    label_map = tmp_path / "map.json"
    label_map.write_text(json.dumps(names))
    store = _run(tmp_path / "out", gt, dt, train=str(train), train_detections=str(train_dt), base_detections=str(dt))
    own = [row["cause"] for row in _rows(store) if row["category_id"] == trial.category]
    assert own == ["absent_in_training", "no_detections"]
    notes = store.manifest("diagnose")["notes"]
    assert any(note.startswith("diagnose.train_detections: 2 detections have no score") for note in notes)
    assert not any("not looked for" in note for note in notes)
    store = _run(tmp_path / "map", gt, dt, label_map=str(label_map))
    own = [row["cause"] for row in _rows(store) if row["category_id"] == trial.category]
    assert own == ["label_id_mismatch", "no_detections"]


@pytest.mark.parametrize("way", ["remedy_config", "label map"])
def test_the_remedy_of_a_shifted_label_map_runs_and_restores_ap(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(6)
    world = scenes.detect(rng, scenes.uniform(rng, 40, 4), scenes.Quality())
    gt, dt = scenes.coco_files(world, tmp_path)
    good, bad, mended = (str(tmp_path / name) for name in ("good", "bad", "mended"))
    assert cli.main(["evaluate", str(gt), str(dt), "--serial", "--output", good]) == 0
    world.dt_class = world.dt_class - 1
    gt, dt = scenes.coco_files(world, tmp_path)
    assert cli.main(["diagnose", str(gt), str(dt), "--serial", "--output", bad]) == 0
    assert (
        "4 class ids, 0 to 3, and the data set has 4 classes, 1 to 4; not among its ids: 0" in capsys.readouterr().out
    )
    rows = Store(bad).read("diagnoses").to_pylist()
    assert {row["cause"] for row in rows if row["rank"] == 1} == {"label_id_mismatch"}
    if way == "remedy_config":
        fragment = tmp_path / "remedy.yaml"
        fragment.write_text(rows[0]["remedy_config"])
        more = ["--config", str(fragment)]
    else:
        more = ["--set", f"predict.category_map={bad}/diagnose/label_map.pbtxt"]
    assert cli.main(["diagnose", str(gt), str(dt), *more, "--serial", "--output", mended]) == 0
    assert Store(mended).read("diagnoses").num_rows == 0
    own = ["run", "run_id", "model"]
    metrics = [Store(folder).read("class_metrics").drop_columns(own) for folder in (good, mended)]
    assert metrics[0].equals(metrics[1])
    for row in (row for row in rows if row["rank"] == 1):
        own = metrics[0].filter(pc.equal(metrics[0]["category_id"], row["category_id"]))
        assert row["ap"] + row["d_ap"] == pytest.approx(own["ap"][0].as_py(), abs=1e-9)


def test_the_remedy_maps_the_ids_that_the_file_holds(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    world = scenes.detect(rng, scenes.uniform(rng, 40, 4), scenes.Quality())
    world.dt_class = world.dt_class - 1
    gt, dt = scenes.coco_files(world, tmp_path)
    wrong, mended = str(tmp_path / "wrong"), str(tmp_path / "mended")
    exchanged = ["--set", "predict.category_map={0: 2, 1: 1, 2: 3, 3: 4}"]
    assert cli.main(["diagnose", str(gt), str(dt), *exchanged, "--serial", "--output", wrong]) == 0
    first = [row for row in Store(wrong).read("diagnoses").to_pylist() if row["rank"] == 1]
    assert {(row["category_id"], row["cause"]) for row in first} == {(k, "label_id_mismatch") for k in (1, 2)}
    fragment = tmp_path / "remedy.yaml"
    fragment.write_text(first[0]["remedy_config"])
    assert yaml.safe_load(fragment.read_text()) == {"predict": {"category_map": {0: 1, 1: 2, 2: 3, 3: 4}}}
    for more in (["--config", str(fragment)], ["--set", f"predict.category_map={wrong}/diagnose/label_map.pbtxt"]):
        assert cli.main(["diagnose", str(gt), str(dt), *more, "--serial", "--force", "--output", mended]) == 0
        assert Store(mended).read("diagnoses").num_rows == 0


def test_coco_umbrella_and_pizza(shared: Path, tmp_path: Path) -> None:
    folder = shared / "coco_val2014_100"
    gt, dt = next(folder.glob("instances*.json")), next(folder.glob("*bbox*.json"))
    found: dict[str, list[str]] = {}
    for row in _run(tmp_path, gt, dt).read("diagnoses").to_pylist():
        found.setdefault(row["category_name"], []).append(row["cause"])
    assert found["pizza"] == ["few_examples", "no_detections"]
    assert found["umbrella"][:2] == ["few_examples", "missed_objects"]
    assert sum(causes == ["no_ground_truth"] for causes in found.values()) == 10


def test_label_errors_name_the_boxes_that_were_changed(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    world = scenes.detect(rng, scenes.uniform(rng, 120, 4), scenes.Quality(clutter=2))
    gone = rng.choice(len(world.gt_class), 12, replace=False)
    rest = np.setdiff1d(np.arange(len(world.gt_class)), gone)
    wrong = rng.choice(rest, 12, replace=False)
    boxes, images = world.gt_box[gone].copy(), world.gt_image[gone].copy()
    world.gt_class[wrong] = world.gt_class[wrong] % 4 + 1
    keys = {(int(world.gt_image[k]), *world.gt_box[k].tolist()) for k in wrong}
    world.keep_gt(~np.isin(np.arange(len(world.gt_class)), gone))
    table = _run(tmp_path / "out", *scenes.coco_files(world, tmp_path)).read("label_errors").to_pylist()
    assert all(0 <= row["score"] <= 1 and row["file_name"] for row in table)
    assert all((row["source_file"] is None) == (row["kind"] == "missing") for row in table)
    found = {
        (row["image_id"], row["x"], row["y"], row["width"], row["height"])
        for row in table
        if row["kind"] == "wrong_class"
    }
    assert len(found & keys) >= 5
    assert len(found - keys) <= 2
    missing = [row for row in table if row["kind"] == "missing"]
    centres = {(row["image_id"], round((row["suggested_x"] + row["suggested_width"] / 2) / 40)) for row in missing}
    near = [
        any((int(image), round((box[0] + box[2] / 2) / 40) + step) in centres for step in (-1, 0, 1))
        for image, box in zip(images, boxes, strict=True)
    ]
    assert sum(near) >= 6

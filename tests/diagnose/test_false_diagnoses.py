"""What was once put down to the wrong cause: size, shifts, thresholds, the detections of a file that is right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scenes
from in_memory import diagnoses, run

from detray import cli
from detray.diagnose.mapping.label_map import find_remaps, label_map_of
from detray.diagnose.observation.image_set import read_image_set
from detray.diagnose.observation.observe import observe
from detray.diagnose.settings import DiagnoseSettings
from detray.formats.label_map import problems_of
from detray.store import Store


def _world(seed: int = 0, n_classes: int = 5) -> scenes.World:
    rng = np.random.default_rng(seed)
    return scenes.detect(rng, scenes.uniform(rng, 60, n_classes), scenes.Quality())


def _first(rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {row["category_id"]: row for row in rows if row["rank"] == 1}


@pytest.mark.parametrize("way", ["no width", "exchanged corners"])
def test_boxes_without_area_are_named_and_are_no_small_objects(way: str) -> None:
    world = _world()
    whole = {row["category_id"]: row["ap"] for row in _rows(world, *world.names.values())}
    rows = np.flatnonzero(world.gt_class == 1)[::2]
    if way == "no width":
        world.gt_box[rows, 2] = 0
    else:
        world.gt_box[rows] = np.hstack([world.gt_box[rows, :2] + world.gt_box[rows, 2:], -world.gt_box[rows, 2:]])
    causes = {row["cause"]: row for row in _rows(world, "class1") if row["category_id"] == 1}
    found = causes["degenerate_ground_truth"]
    assert found["rank"] == 1
    assert f"{len(rows)} of {(world.gt_class == 1).sum()} boxes" in found["sentence"]
    numbers = json.loads(found["evidence"])
    assert numbers["without_area"] == len(rows)
    assert numbers["exchanged"] == (len(rows) if way == "exchanged corners" else 0)
    assert numbers["ap_without"] == pytest.approx(whole[1], abs=0.05)
    assert found["ap"] + found["d_ap"] == pytest.approx(numbers["ap_without"], abs=1e-3)
    assert "small_objects" not in causes
    assert "missing_labels" not in causes


def test_boxes_without_area_say_nothing_of_the_size_that_other_classes_need() -> None:
    world = _world(2, 3)
    tables = scenes.tables_of(world)
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    before = observe(scene, np.array([1])).counts
    scene.gt.box[::3, 3] = 0
    scene.gt.area[::3] = 0
    after = observe(scene, np.array([1])).counts
    assert sum(after.flat_boxes.values()) == len(scene.gt.area[::3])
    assert all(after.small_boxes.get(k, 0) <= n for k, n in before.small_boxes.items())


@pytest.mark.parametrize("seed", range(4))
def test_a_permutation_is_no_shift_and_its_map_has_no_name_twice(seed: int) -> None:
    world = _world(seed)
    written = np.array([0, 2, 3, 4, 1, 5])  # three of five ids go up by one
    world.dt_class = written[world.dt_class]
    for row in _first(_rows(world)).values():
        assert row["cause"] == "label_id_mismatch"
        assert "shifted" not in row["sentence"]
        assert "2 is `class1` (id 1), 3 is `class2` (id 2), 4 is `class3` (id 3)" in row["sentence"]


@pytest.mark.parametrize("seen", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (3, 4, 6)])
def test_the_label_map_of_a_shift_passes_the_audit_whatever_the_detector_finds(seen: tuple[int, ...]) -> None:
    world = _world(1)
    world.dt_class = world.dt_class + 1
    world.keep_dt(np.isin(world.dt_class, seen))
    tables = scenes.tables_of(world)
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    fault = find_remaps(observe(scene, np.arange(1, 6)).counts, world.names)
    assert fault is not None
    assert fault.rule == "every class id of the detections is shifted by +1"
    assert problems_of(label_map_of(fault, world.names, {})) == []


def test_a_label_map_that_the_audit_would_refuse_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = _world(3)
    world.names[5] = world.names[4]
    world.dt_class = world.dt_class + 1
    gt, dt = scenes.coco_files(world, tmp_path)
    assert cli.main(["diagnose", str(gt), str(dt), "--serial", "--output", str(tmp_path / "out")]) == 0
    assert "no label map is written, since the audit would refuse it: name 'class4' stands 2 times" in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "out/diagnose/label_map.pbtxt").exists()
    rows = Store(str(tmp_path / "out")).read("diagnoses").to_pylist()
    assert all("label_map.pbtxt" not in row["remedy"] for row in rows if row["cause"] == "label_id_mismatch")


@pytest.mark.parametrize("n_classes", [1, 3])
def test_annotations_that_are_shifted_against_their_own_list_are_not_blamed_on_the_detections(
    n_classes: int, tmp_path: Path
) -> None:
    world = _world(4, n_classes)
    whole = {row["category_id"]: row["ap"] for row in _rows(world, *world.names.values())}
    world.gt_class = world.gt_class - 1
    gt, dt = scenes.coco_files(world, tmp_path)
    assert cli.main(["diagnose", str(gt), str(dt), "--serial", "--output", str(tmp_path / "out")]) == 0
    first = _first(Store(str(tmp_path / "out")).read("diagnoses").to_pylist())
    assert set(world.names) <= set(first)
    for category in world.names:
        assert first[category]["cause"] == "label_id_mismatch"
        assert "of the annotations is shifted by -1 against their own list" in first[category]["sentence"]
        assert f"{category - 1} is `class{category}` (id {category})" in first[category]["sentence"]
        if first[category]["ap"] is not None:
            assert first[category]["ap"] + first[category]["d_ap"] == pytest.approx(whole[category])
    assert not (tmp_path / "out/diagnose/label_map.pbtxt").exists()


def test_lists_in_another_order_are_named_where_the_model_goes_by_places() -> None:
    world = _world(5)
    order = [3, 1, 5, 2, 4]
    world.train = scenes.tripled(world.without_detections())
    world.train.names = {k: world.names[k] for k in order}
    place = np.array([0, *(order.index(k) + 1 for k in range(1, 6))])
    world.dt_class = place[world.dt_class]  # the place in the training list, read in the list of the split
    tables, train = scenes.tables_of(world), scenes.tables_of(world.train, "train")
    for row in _first(diagnoses(tables, train=train).to_pylist()).values():
        assert row["cause"] == "label_id_mismatch"
        assert "the training annotations list them in another order" in row["sentence"]


def _dense() -> scenes.World:
    """Images with 110 to 130 small boxes of one class, and a detection on each, of a high score."""
    rng = np.random.default_rng(0)
    n = rng.integers(110, 131, 12)
    image = np.repeat(np.arange(1, 13), n)
    box = np.array([[10 + 30 * (k % 15), 10 + 30 * (k // 15), 20, 20] for m in n for k in range(m)], float)
    world = scenes.World(
        np.arange(1, 13), np.full((12, 2), 500.0), {1: "pill", 2: "box"}, image, np.ones(len(box), int), box,
        np.zeros(len(box), bool),
    )  # fmt: skip
    world.add_dt(image, 1, box, rng.uniform(0.9, 1, len(box)))
    return world


def test_a_cap_of_the_evaluation_is_no_score_threshold_and_is_offered_for_a_class_that_is_not_weak() -> None:
    world = _dense()
    rows = [row for row in _rows(world) if row["category_id"] == 1]
    assert [(row["cause"], row["is_weak"]) for row in rows] == [("max_detections", False)]
    cut = len(world.gt_image) - 12 * 100
    assert rows[0]["sentence"].startswith(f"{cut} detections of `pill` (id 1) are beyond the 100 that the evaluation")
    assert rows[0]["ap"] + rows[0]["d_ap"] == pytest.approx(1)
    named = [row["cause"] for row in _rows(world, "pill") if row["category_id"] == 1]
    assert named[0] == "max_detections"
    assert "score_threshold" not in named


def test_a_cap_that_costs_ap_is_said_by_the_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = _dense()
    cut = len(world.gt_image) - 12 * 100
    gt, dt = scenes.coco_files(world, tmp_path)
    arguments = [str(gt), str(dt), "--serial", "--set", "evaluate.bootstrap=0"]
    assert cli.main(["evaluate", *arguments, "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "max_detections costs AP: 100 detections an image and class count" in said
    assert f"{cut} of pill in val can be found by none" in said
    more = ["--set", "evaluate.max_detections=200", "--output", str(tmp_path / "more")]
    assert cli.main(["diagnose", *arguments, *more]) == 0
    assert "max_detections costs" not in capsys.readouterr().out
    assert {row["category_id"] for row in Store(str(tmp_path / "more")).read("diagnoses").to_pylist()} == {2}


def _rows(world: scenes.World, *named: str) -> list[dict[str, Any]]:
    settings = DiagnoseSettings(classes=named)
    return run(scenes.tables_of(world), settings).tables["diagnoses"].to_pylist()

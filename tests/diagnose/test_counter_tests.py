"""Counter-tests on files: a planted cause is confirmed, what looks like it and is not stays unconfirmed."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scenes
from in_memory import run

from detray import cli, schema
from detray.diagnose.catalogue import CAUSES
from detray.diagnose.counter_tests.catalogue import ALL, BY_CAUSE, why_none
from detray.diagnose.counter_tests.counter_test import Claim, Edits
from detray.diagnose.counter_tests.label_edits import edits_of
from detray.diagnose.counter_tests.outcome import CONFIRMED, NOT_CONFIRMED, CounterTested, needed, reranked
from detray.diagnose.mapping.box_encoding import BoxEncoding, EncodingFault
from detray.diagnose.mapping.label_map import ClassRemap, LabelFault
from detray.diagnose.mapping.pairing import PairingFault
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.columns import to_arrow
from detray.diagnose.observation.image_set import read_detections
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.steps.confirm import TryShard, trial_aps, try_shard
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import Work
from detray.flow.data import MemoryData
from detray.store import ShardKey, Store

CLASS = 2
PAIRED = MappingFaults(pairing=PairingFault("positions", 0.0, 1.0, 1.0, 1.0))


def _world(seed: int = 3, per_image: float = 7.0) -> tuple[np.random.Generator, scenes.World]:
    rng = np.random.default_rng(seed)
    return rng, scenes.detect(rng, scenes.uniform(rng, 60, 4, per_image), scenes.Quality())


def _tried(
    world: scenes.World, claim: Claim, faults: MappingFaults | None = None, renamed: scenes.World | None = None
) -> CounterTested:
    """What the counter-test of a claim comes to, by the shipped functions of its steps."""
    tables = scenes.tables_of(world)
    rows = {"images": tables["images"], "annotations": tables["annotations"]}
    rows["detections"] = to_arrow(read_detections(tables["predictions"]))
    if renamed is not None:
        rows["renamed"] = to_arrow(read_detections(scenes.tables_of(renamed)["predictions"]))
    data = MemoryData([], {}, {})
    source = DetectionSource(data, "val")
    work = Work(data, "scene", "model", DiagnoseSettings(), "val", world.names, (CLASS,), {})
    task = TryShard(ShardKey(0, "val", None, None), source, source, faults or MappingFaults(), (claim,))
    found = try_shard(work, task, rows)
    aps = trial_aps(found.kept["tried"], (0, 1), found.facts.boxes)
    return CounterTested(BY_CAUSE[claim.cause].done(claim), aps[0], aps[1])


def _swapped(world: scenes.World) -> None:
    """Ids 1 and 2 of the detections exchanged."""
    world.dt_class = np.select([world.dt_class == 1, world.dt_class == 2], [2, 1], world.dt_class)


def _exchange() -> LabelFault:
    return LabelFault({1: ClassRemap(2, 1, 30, 30), 2: ClassRemap(1, 2, 30, 30)}, None)


def _annotation_rows(world: scenes.World, rows: np.ndarray) -> np.ndarray:
    """What the table of annotations calls these boxes: it lists them by image."""
    place = np.argsort(np.argsort(world.gt_image, kind="stable"))
    return scenes.tables_of(world)["annotations"]["annotation_row"].to_numpy()[place[rows]]


def _corners(box: np.ndarray) -> np.ndarray:
    return np.hstack([box[:, :2], box[:, :2] + box[:, 2:]])


def label_id_mismatch(*, is_planted: bool) -> CounterTested:
    _, world = _world()
    if is_planted:
        _swapped(world)
    fault = _exchange()
    claim = Claim(CLASS, "label_id_mismatch", 0.4, {"mapping": fault.category_map})
    return _tried(world, claim, MappingFaults(labels=fault))


def image_id_mismatch(*, is_planted: bool) -> CounterTested:
    _, right = _world()
    wrong = right.copy()
    wrong.dt_image = right.image[::-1][np.searchsorted(right.image, right.dt_image)]
    given, renamed = (wrong, right) if is_planted else (right, wrong)
    claim = Claim(CLASS, "image_id_mismatch", 0.4, {"recall_any_class_repaired": 0.9})
    return _tried(given, claim, PAIRED, renamed)


def box_format(*, is_planted: bool) -> CounterTested:
    _, world = _world()
    if is_planted:
        world.dt_box = _corners(world.dt_box)
    return _tried(world, Claim(CLASS, "box_format", 0.4), MappingFaults(reading=_reading()))


def _reading() -> EncodingFault:
    return EncodingFault(BoxEncoding("xyxy"), 0.0, 1.0)


def degenerate_ground_truth(*, is_planted: bool) -> CounterTested:
    _, world = _world()
    rows = np.flatnonzero(world.gt_class == CLASS)
    if is_planted:
        rows = rows[::2]
        world.gt_box[rows] = np.hstack([world.gt_box[rows, :2] + world.gt_box[rows, 2:], -world.gt_box[rows, 2:]])
    else:  # the detector is what fails, and one box is flat
        world.gt_box[rows[0], 2] = 0
        world.dt_box[world.dt_class == CLASS, :2] += 300
    return _tried(world, Claim(CLASS, "degenerate_ground_truth", 0.3))


def missing_labels(*, is_planted: bool) -> CounterTested:
    rng, world = _world()
    gone = (world.gt_class == CLASS) & (rng.random(len(world.gt_class)) < 0.5)
    box = world.gt_box[gone] + (0 if is_planted else 150)  # as if clean added boxes where nothing stands
    n = int(gone.sum())
    edits = Edits(world.gt_image[gone], np.full(n, -1), np.full(n, CLASS), box)
    world.keep_gt(~gone)
    return _tried(world, Claim(CLASS, "missing_labels", 0.3, edits=edits))


def wrong_labels(*, is_planted: bool) -> CounterTested:
    _, world = _world()
    rows = np.flatnonzero(world.gt_class == (CLASS if is_planted else 1))[::2]
    if is_planted:
        world.gt_class[rows] = 1
    edits = Edits(world.gt_image[rows], _annotation_rows(world, rows), np.full(len(rows), CLASS), world.gt_box[rows])
    return _tried(world, Claim(CLASS, "wrong_labels", 0.3, edits=edits))


def noisy_boxes(*, is_planted: bool) -> CounterTested:
    rng, world = _world()
    rows = np.flatnonzero(world.gt_class == CLASS)
    right = world.gt_box[rows]
    wrong = scenes.jitter(rng, right, 0.2)
    world.gt_box[rows] = wrong if is_planted else right
    number, box = _annotation_rows(world, rows), right if is_planted else wrong
    edits = Edits(world.gt_image[rows], number, np.full(len(rows), CLASS), box)
    return _tried(world, Claim(CLASS, "noisy_boxes", 0.2, edits=edits))


def max_detections(*, is_planted: bool) -> CounterTested:
    _, world = _world(per_image=20.0)
    cap = 2 if is_planted else 30  # all fit below the second, which noise alone exceeds
    if not is_planted:
        own = world.dt_class == CLASS
        image = np.repeat(world.image, 40)
        world.add_dt(image, CLASS, np.tile([1.0, 1.0, 3.0, 3.0], (len(image), 1)), np.full(len(image), 1e-6))
        assert own.sum()
    return _tried(world, Claim(CLASS, "max_detections", 0.3, {"beyond_cap": 20}, cap=cap))


def duplicates(*, is_planted: bool) -> CounterTested:
    rng, world = _world()
    if is_planted:
        scenes.duplicates(rng, world, CLASS)
    else:  # objects that stand close together, each found once
        gt, dt = world.gt_class == CLASS, world.dt_class == CLASS
        shift = np.array([0.2, 0.0, 0.0, 0.0])
        box, found = world.gt_box[gt], world.dt_box[dt]
        world.gt_box = np.concatenate([world.gt_box, box + shift * box[:, 2:3]])
        world.gt_image = np.append(world.gt_image, world.gt_image[gt])
        world.gt_class = np.append(world.gt_class, world.gt_class[gt])
        world.gt_crowd = np.append(world.gt_crowd, world.gt_crowd[gt])
        world.add_dt(world.dt_image[dt], CLASS, found + shift * found[:, 2:3], world.dt_score[dt] * 0.9)
    return _tried(world, Claim(CLASS, "duplicates", 0.2))


CASES = {
    test.__name__: test
    for test in (
        label_id_mismatch,
        image_id_mismatch,
        box_format,
        degenerate_ground_truth,
        missing_labels,
        wrong_labels,
        noisy_boxes,
        max_detections,
        duplicates,
    )
}


@pytest.mark.parametrize("test", ALL, ids=lambda test: test.cause)
def test_what_is_planted_is_confirmed_and_what_looks_like_it_is_not(test: Any) -> None:
    planted, alike = (CASES[test.cause](is_planted=is_planted) for is_planted in (True, False))
    assert planted.verdict(0.2) == CONFIRMED, planted
    assert alike.verdict(0.2) == NOT_CONFIRMED, alike
    assert inspect.getdoc(type(test))


@pytest.mark.parametrize("plant", ["label_id_mismatch", "image_id_mismatch", "box_format", "duplicates"])
def test_a_planted_cause_is_confirmed_by_the_flow(plant: str) -> None:
    rng, world = _world()
    scenes.PLANTS[plant](rng, world, CLASS)
    tables = scenes.tables_of(world)
    plain = run(tables, DiagnoseSettings(classes=("class2",))).tables["diagnoses"]
    confirmed = run(tables, DiagnoseSettings(classes=("class2",), confirm=True))
    rows = confirmed.tables["diagnoses"]
    first = next(row for row in rows.to_pylist() if row["category_id"] == CLASS and row["rank"] == 1)
    assert (first["cause"], first["counter_test"]) == (plant, CONFIRMED), first["sentence"]
    told = f"Confirmed: AP {first['ap']:.2f} to {first['counter_test_ap']:.2f}"
    assert told in first["sentence"]
    assert any(told in line for line in confirmed.outcome.advice)
    assert rows.num_rows == plain.num_rows
    assert plain["counter_test"].null_count == plain.num_rows


def test_each_of_two_faults_is_tested_with_the_other_repaired() -> None:
    _, world = _world()
    _swapped(world)
    world.dt_box = _corners(world.dt_box)
    fault = _exchange()
    faults = MappingFaults(reading=_reading(), labels=fault)
    for claim in (
        Claim(CLASS, "label_id_mismatch", 0.4, {"mapping": fault.category_map}),
        Claim(CLASS, "box_format", 0.4),
    ):
        assert _tried(world, claim, faults).verdict(0.4) == CONFIRMED
    healthy = Claim(CLASS, "duplicates", 0.2)
    assert _tried(world, healthy, faults).before == _tried(world, Claim(CLASS, "box_format"), faults).after


def test_confirmed_causes_stand_first_and_denied_ones_last() -> None:
    def row(category: int, rank: int, cause: str) -> dict[str, Any]:
        return {"category_id": category, "rank": rank, "cause": cause, "d_ap": 0.2, "sentence": cause}

    rows = [row(1, 1, "box_format"), row(1, 2, "few_examples"), row(1, 3, "duplicates"), row(1, 4, "localization")]
    rows += [
        row(2, 1, "no_ground_truth"),
        row(2, 2, "duplicates"),
        row(3, 1, "small_objects"),
        row(3, 2, "localization"),
    ]
    tested = {
        (1, "box_format"): CounterTested("the boxes converted", 0.02, 0.03),
        (1, "few_examples"): CounterTested(untested="needs another training"),
        (1, "duplicates"): CounterTested("suppression", 0.02, 0.41),
        (2, "duplicates"): CounterTested("suppression", 0.02, 0.41),
        (3, "small_objects"): CounterTested("tiles", 0.02, 0.03, denies=False),
    }
    found = reranked(rows, tested)
    assert [(r["category_id"], r["rank"], r["cause"]) for r in found] == [
        (1, 1, "duplicates"),
        (1, 2, "few_examples"),
        (1, 3, "localization"),
        (1, 4, "box_format"),
        (2, 1, "no_ground_truth"),
        (2, 2, "duplicates"),
        (3, 1, "small_objects"),
        (3, 2, "localization"),
    ]
    assert found[6]["sentence"] == "small_objects Undecided: AP 0.02 to 0.03 (tiles)."
    assert [r.get("counter_test") for r in found[:4]] == [CONFIRMED, None, None, NOT_CONFIRMED]
    assert [r["sentence"] for r in found[:4]] == [
        "duplicates Confirmed: AP 0.02 to 0.41 (suppression).",
        "few_examples Not tested: needs another training.",
        "localization",
        "box_format Not confirmed: AP 0.02 to 0.03 (the boxes converted).",
    ]


def test_what_is_told_says_how_much_must_be_gained() -> None:
    told = (None, 0.01, 0.06, 0.1, 0.4)
    assert [needed(d_ap) for d_ap in told] == [0.05, 0.01, 0.03, 0.05, 0.1]
    assert [needed(d_ap, is_measured=True) for d_ap in told] == [0.05, 0.01, 0.03, 0.05, 0.05]


def test_a_test_of_the_whole_remedy_measures_what_is_regained() -> None:
    told = {"category_id": 1, "d_ap": 0.5, "d_ap_is_ceiling": True, "sentence": ""}
    rows = [told | {"rank": rank, "cause": cause} for rank, cause in enumerate(("a", "b", "c", "d"), 1)]
    tested = {
        (1, "a"): CounterTested("a setting", 0.1, 0.11, measures=True),
        (1, "b"): CounterTested("a setting", 0.1, 0.2, measures=True),
        (1, "c"): CounterTested("other pictures", 0.1, 0.3),
        (1, "d"): CounterTested(untested="needs pictures", measures=True),
    }
    found = reranked(rows, tested, promotes=False)
    said = {row["cause"]: (row["counter_test"], row["d_ap"], row["d_ap_is_ceiling"]) for row in found}
    assert list(said) == ["b", "c", "d", "a"]
    assert said == {
        "a": (NOT_CONFIRMED, pytest.approx(0.01), False),
        "b": (CONFIRMED, pytest.approx(0.1), False),
        "c": (CONFIRMED, 0.5, True),
        "d": (None, 0.5, True),
    }
    assert [row["cause"] for row in reranked(rows, tested)] == ["b", "c", "d", "a"]
    last = [told | {"rank": rank, "cause": cause} for rank, cause in enumerate(("d", "b"), 1)]
    assert [[row["cause"] for row in reranked(last, tested, promotes=promotes)] for promotes in (True, False)] == [
        ["b", "d"],
        ["d", "b"],
    ]


def test_edits_are_those_that_clean_makes_of_the_class() -> None:
    rows = [
        {"kind": kind, "score": score, "category_id": category, "suggested_category_id": to, "source_file": file}
        for kind, score, category, to, file in (
            ("wrong_class", 0.95, 1, CLASS, "a.json"),
            ("wrong_class", 0.95, CLASS, 3, "a.json"),
            ("wrong_class", 0.95, 1, 3, "a.json"),
            ("wrong_class", 0.85, 1, CLASS, "a.json"),
            ("wrong_class", 0.95, 1, CLASS, None),
            ("missing", 0.95, CLASS, None, None),
        )
    ]
    sides = {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0}
    named = {"split": "val", "model": "m", "image_id": 7, "annotation_row": 5, "file_name": "a.jpg"}
    table = schema.from_rows("label_errors", [named | sides | row for row in rows], run="r")
    assert edits_of(table, "wrong_class", CLASS, 0.9).category.tolist() == [CLASS, 3]
    added = edits_of(table, "missing", CLASS, 0.9)
    assert (added.row.tolist(), added.box.tolist()) == ([-1], [[1.0, 2.0, 3.0, 4.0]])


def test_few_of_the_labels_in_question_deny_nothing() -> None:
    edits = Edits(np.arange(4), np.full(4, -1), np.full(4, CLASS), np.ones((4, 4)))
    missing, bad = BY_CAUSE["missing_labels"], BY_CAUSE["noisy_boxes"]
    assert missing.denies(Claim(CLASS, "missing_labels", numbers={"unlabelled": 8}, edits=edits))
    assert not missing.denies(Claim(CLASS, "missing_labels", numbers={"unlabelled": 9}, edits=edits))
    assert not bad.denies(Claim(CLASS, "noisy_boxes", edits=edits))


def test_every_cause_without_a_counter_test_says_why() -> None:
    assert set(BY_CAUSE) <= {cause.name for cause in CAUSES}
    assert all(cause.name in BY_CAUSE or why_none(cause.name) for cause in CAUSES)
    assert BY_CAUSE["missing_labels"].obstacle(Claim(CLASS, "missing_labels")) is not None
    assert BY_CAUSE["max_detections"].obstacle(Claim(CLASS, "max_detections", numbers={"cap": 10})) is not None
    assert BY_CAUSE["label_id_mismatch"].obstacle(Claim(CLASS, "label_id_mismatch")) is not None
    by_name = Claim(CLASS, "label_id_mismatch", config={"predict": {"category_map": {9: CLASS}}})
    assert BY_CAUSE["label_id_mismatch"].obstacle(by_name) is None


def test_the_command_confirms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, world = _world()
    world.dt_box = _corners(world.dt_box)
    gt, dt = scenes.coco_files(world, tmp_path)
    out = tmp_path / "out"
    assert cli.main(["diagnose", str(gt), str(dt), "--serial", "--confirm", "--output", str(out)]) == 0
    assert "Confirmed: AP 0." in capsys.readouterr().out
    rows = Store(str(out)).read("diagnoses")
    assert rows.filter(pa.compute.equal(rows["rank"], 1))["counter_test"].unique().to_pylist() == [CONFIRMED]

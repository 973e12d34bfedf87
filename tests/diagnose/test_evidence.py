"""What the causes are told by: scores among those of other classes, cuts, covers, and what they share."""

import numpy as np
import pytest
import scenes
import suite
from hypothesis import given
from hypothesis import strategies as st
from in_memory import diagnoses
from scipy.stats import binom

from detray.diagnose.evidence.chance import Auc, chance_of_median
from detray.diagnose.observation.counts import bin_score, score_bin
from detray.diagnose.settings import DiagnoseSettings


def test_bins_of_scores_keep_their_order_and_tell_saturated_scores_apart() -> None:
    rng = np.random.default_rng(0)
    scores = np.sort(np.concatenate([rng.random(5000), 1 - 1e-4 * rng.random(500), [0.0, 0.5, 1.0, 1.5, 90.0]]))
    bins = score_bin(scores)
    assert (np.diff(bins) >= 0).all()
    lowest = np.array([bin_score(int(number)) for number in bins])
    assert (lowest <= scores + 1e-7).all()
    assert len(np.unique(score_bin(np.array([0.99, 0.995, 0.999, 0.9995])))) == 4


def test_auc_is_the_chance_that_one_is_above_another() -> None:
    found = Auc.of(np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0]))
    assert found is not None
    assert found.value == pytest.approx((0.5 + 0.75 + 1.0) / 3)
    assert Auc.of(np.array([1.0]), np.empty(0)) is None


@given(st.floats(0, 0.5), st.integers(1, 400))
def test_the_chance_of_a_median_is_that_of_half_the_values(position: float, n: int) -> None:
    exact = binom.sf((n + 1) // 2 - 1, n, position)
    assert chance_of_median(position, n) == pytest.approx(exact, rel=1e-9, abs=1e-300)


def _world(seed: int, n_classes: int = 6, **quality: float) -> tuple[np.random.Generator, scenes.World]:
    rng = np.random.default_rng(seed)
    return rng, scenes.detect(rng, scenes.uniform(rng, 120, n_classes), scenes.Quality(**quality))


def test_a_cut_of_the_whole_file_is_named_for_all_that_lose_by_it() -> None:
    for seed in range(3):
        _, world = _world(seed, true_mean=0.5)
        world.keep_dt(world.dt_score >= 0.6)
        found = suite.diagnose(world, DiagnoseSettings())
        assert len(found) >= 4
        first = [causes[0] for causes in found.values()]
        assert first.count("score_threshold") >= len(first) - 1, found


@pytest.mark.parametrize(("plant", "is_cut"), [("score_threshold", True), ("bad_ranking", False)])
def test_no_false_detection_below_tells_a_cut_unless_they_score_high(plant: str, is_cut: bool) -> None:
    named = []
    for seed in range(6):
        rng, world = _world(seed, n_classes=30, clutter=20.0, clutter_mean=-3.0)
        scenes.PLANTS[plant](rng, world, 12)
        named.append("score_threshold" in suite.diagnose(world, DiagnoseSettings()).get(12, []))
    assert named.count(is_cut) >= 5, named


def test_scores_that_end_by_themselves_are_no_cut() -> None:
    rng, world = _world(1, true_mean=2.0, clutter=0.0, repeats=0.0, second_labels=0.0)
    world.dt_score = 0.4 + 0.6 * world.dt_score  # no score below .4, and hardly any near it
    scenes.missed_objects(rng, world, 2)
    assert suite.diagnose(world, DiagnoseSettings())[2][0] == "missed_objects"


def test_a_confusion_at_low_scores_is_named() -> None:
    for seed in range(3):
        rng, world = _world(seed, recall=0.95)
        mine = np.flatnonzero((world.dt_class == 2) & (rng.random(len(world.dt_class)) < 0.7))
        world.dt_class[mine] = 1
        world.dt_score[mine] *= 0.15  # below what true detections of the other class score
        assert "class_confusion" in suite.diagnose(world, DiagnoseSettings())[2][:2]


def test_a_cause_that_costs_little_stands_behind_one_that_costs_much() -> None:
    rng, world = _world(3, repeats=0.0, recall=0.97)
    scenes.missed_objects(rng, world, 2)
    true = np.flatnonzero(world.dt_class == 2)
    again = true[: len(true) // 2]
    box = scenes.jitter(rng, world.dt_box[again], 0.02)
    world.add_dt(world.dt_image[again], 2, box, world.dt_score[again] * 0.99)
    rows = [row for row in suite.diagnosed(world, DiagnoseSettings()).to_pylist() if row["category_id"] == 2]
    assert rows[0]["cause"] == "missed_objects"
    assert all(row["d_ap"] < rows[0]["d_ap"] for row in rows[1:] if row["d_ap"] is not None)


def test_a_symptom_of_the_same_boxes_stands_behind_its_cause() -> None:
    rng, world = _world(5)
    scenes.small_objects(rng, world, 1)
    causes = suite.diagnose(world, DiagnoseSettings())[1]
    assert causes[0] == "small_objects"
    assert causes.index("missed_objects") == len(causes) - 1


def test_a_named_class_always_gets_an_answer() -> None:
    rng = np.random.default_rng(2)
    perfect = scenes.Quality(recall=1 - 1e-9, noise=0.0, clutter=0.0, repeats=0.0, second_labels=0.0)
    usual = scenes.Quality(recall=0.9, noise=0.05)
    for quality, costs in ((perfect, False), (usual, True)):
        world = scenes.detect(rng, scenes.uniform(rng, 80, 4), quality)
        rows = diagnoses(scenes.tables_of(world), DiagnoseSettings(classes=("class1",))).to_pylist()
        assert [row["category_name"] for row in rows] == ["class1"]
        assert rows[0]["is_weak"] is False
        assert (rows[0]["cause"] == "no_cause_found") == (not costs)
        assert (rows[0]["d_ap"] is not None) == costs


def test_few_examples_do_not_hide_what_is_wrong_with_them() -> None:
    _, world = _world(4, recall=0.95)
    mine = np.flatnonzero(world.gt_class == 3)
    keep = np.ones(len(world.gt_class), bool)
    keep[mine[3:]] = False
    world.keep_gt(keep)
    on = scenes._on_own(world, 3) >= 0
    world.dt_class[on] = 1
    world.keep_dt(world.dt_class != 3)
    rows = [row for row in suite.diagnosed(world, DiagnoseSettings()).to_pylist() if row["category_id"] == 3]
    assert "few_examples" in {row["cause"] for row in rows}
    assert len(rows) >= 2

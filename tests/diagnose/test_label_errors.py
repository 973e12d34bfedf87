"""Suspected label errors say how likely they are, and the likeliest are right."""

from collections import defaultdict
from dataclasses import dataclass, field

import in_memory
import numpy as np
import pyarrow.compute as pc
import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detray.boxes import pairwise_iou
from detray.diagnose.evidence.class_sizes import MOST, Sizes
from detray.diagnose.evidence.misdrawn import misdrawn
from detray.diagnose.evidence.mixture import chance_of_wrong_labels
from detray.diagnose.label_errors import label_errors
from detray.diagnose.observation.image_set import read_image_set
from detray.diagnose.observation.observe import observe

SHARE = {"missing": 0.08, "wrong_class": 0.06, "bad_box": 0.06}
DOUBTFUL = scenes.Quality(
    recall=0.9, noise=0.08, true_mean=0.7, spread=1.0, clutter=8.0, clutter_mean=-1.2, second_labels=0.5
)
"""A detector whose false detections reach far into the scores of its true ones."""


@dataclass
class Said:
    """Chances that rows were given, and whether they were right, by kind."""

    chance: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    right: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def among(self, kind: str, low: float, high: float) -> tuple[int, float, float]:
        """Rows with a chance between, their mean chance, and the share of them that is right."""
        chance, right = np.array(self.chance[kind]), np.array(self.right[kind], bool)
        rows = (chance >= low) & (chance < high)
        return int(rows.sum()), float(chance[rows].mean()), float(right[rows].mean())

    def first(self, kind: str, n: int) -> float:
        """The share of the ``n`` likeliest rows that is right."""
        order = np.argsort(-np.array(self.chance[kind]), kind="stable")[:n]
        return float(np.array(self.right[kind], bool)[order].mean())


def _said(quality: scenes.Quality, shares: dict[str, float], seeds: range) -> Said:
    said = Said()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        world = scenes.detect(rng, scenes.uniform(rng, 150, 4), quality)
        kind = rng.choice(["", *shares], len(world.gt_class), p=[1 - sum(shares.values()), *shares.values()])
        truth = world.copy()
        wrong, bad = kind == "wrong_class", kind == "bad_box"
        world.gt_class[wrong] = world.gt_class[wrong] % 4 + 1
        side = rng.choice([-1, 1], (int(bad.sum()), 2))
        world.gt_box[bad, :2] += side * rng.uniform(0.2, 0.4, side.shape) * world.gt_box[bad, 2:]
        place = np.flatnonzero(kind != "missing")
        world.keep_gt(kind != "missing")
        tables = scenes.tables_of(world)
        scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
        seen = observe(scene, np.array(sorted(world.names)))
        found = label_errors(seen.boxes, seen.detections, seen.counts, world.names, run="x", split="val", model="m")
        for row in found.to_pylist():
            said.chance[row["kind"]].append(row["score"])
            said.right[row["kind"]].append(_is_right(row, truth, kind, place))
    return said


def _is_right(row: dict, truth: scenes.World, kind: np.ndarray, place: np.ndarray) -> bool:
    if row["kind"] == "missing":
        there = (kind == "missing") & (truth.gt_image == row["image_id"]) & (truth.gt_class == row["category_id"])
        box = np.array([[row[f"suggested_{side}"] for side in ("x", "y", "width", "height")]])
        return bool((pairwise_iou(truth.gt_box[there], box) >= 0.5).any())
    one = place[row["annotation_row"]]
    is_right = kind[one] == row["kind"]
    return bool(is_right and (row["kind"] != "wrong_class" or row["suggested_category_id"] == truth.gt_class[one]))


@pytest.fixture(scope="module")
def planted() -> Said:
    return _said(DOUBTFUL, SHARE, range(6))


@pytest.mark.parametrize("kind", SHARE)
def test_a_chance_of_half_is_right_about_half_the_time(planted: Said, kind: str) -> None:
    n, said, right = planted.among(kind, 0.35, 0.65)
    assert n >= 10
    assert -0.2 <= right - said <= 0.4  # rather right more often than said than less
    n, said, right = planted.among(kind, 0.8, 1.01)
    assert n >= 10
    assert right >= said - 0.15
    assert planted.among(kind, 0.0, 0.1)[2] <= 0.2


@pytest.mark.parametrize("kind", SHARE)
def test_the_likeliest_are_right(planted: Said, kind: str) -> None:
    assert planted.first(kind, 20) >= 0.9
    assert planted.first(kind, 60) >= 0.75


def test_moved_boxes_are_suspected_of_a_detector_that_draws_loosely_itself() -> None:
    said = _said(scenes.Quality(recall=0.95, noise=0.12, true_mean=1.5, clutter=2.0), {"bad_box": 0.1}, range(2))
    n, _, right = said.among("bad_box", 0.5, 1.01)
    assert n >= 80  # of 210
    assert right >= 0.8


def test_a_share_of_loose_boxes_as_any_model_makes_accuses_none() -> None:
    rng = np.random.default_rng(0)
    right = 1 / (1 + np.exp(-rng.normal(1.3, 0.6, (2, 1000)).clip(-1.3)))
    classes, few, many = np.repeat([1, 2], 1000), right.copy(), right.copy()
    few[:, :5], many[:, :80] = rng.uniform(0.2, 0.5, (2, 5)), rng.uniform(0.2, 0.5, (2, 80))
    chance, told = misdrawn(classes, few.ravel(), 0.2, 0.75)
    assert chance.max() < 0.5
    assert (told.reshape(2, -1)[:, :5] >= 0.5).mean() > 0.7
    chance = misdrawn(classes, many.ravel(), 0.2, 0.75)[0].reshape(2, -1)
    assert (chance[:, :80] >= 0.5).mean() > 0.7
    assert (chance[:, 80:] >= 0.5).mean() < 0.01
    assert chance[many > np.median(many, axis=1, keepdims=True)].max() == 0
    assert not misdrawn(np.zeros(0, np.int64), np.zeros(0), 0.2, 0.75)[0].size
    assert not misdrawn(np.zeros(9, np.int64), np.full(9, 0.3), 0.2, 0.75)[0].any()


def test_clean_labels_are_hardly_suspected() -> None:
    for quality in (DOUBTFUL, scenes.Quality(), scenes.Quality(clutter=10.0, clutter_mean=-3.0)):
        clean = _said(quality, {}, range(4))
        n_boxes = 4 * 150 * 7
        for chances in clean.chance.values():
            assert (np.array(chances) >= 0.5).sum() <= 0.002 * n_boxes


@pytest.mark.parametrize("count", [3, 60])
def test_boxes_of_nothing_come_first_among_the_spurious_and_none_is_called_likely(count: int) -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 150, 3), scenes.Quality(recall=0.99))
    nothing = rng.choice(len(world.gt_class), count, replace=False)
    world.gt_box[nothing, :2] = world.gt_box[rng.permutation(nothing), :2] + rng.uniform(60, 120, (count, 2))
    tables = scenes.tables_of(world)
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    seen = observe(scene, np.array(sorted(world.names)))
    suspects = label_errors(seen.boxes, seen.detections, seen.counts, world.names, run="x", split="val", model="m")
    own = suspects.filter(pc.equal(suspects["kind"], "spurious")).sort_by([("score", "descending")])
    first = own["annotation_row"].to_numpy()[: count + 20]  # some objects are missed too
    assert np.isin(nothing, first).mean() > 0.7
    assert pc.max(own["score"]).as_py() < 0.5  # an object that is missed looks the same


@pytest.mark.parametrize(
    "quality",
    [
        scenes.Quality(recall=0.5, noise=0.12, true_mean=0.0, clutter=2.2, clutter_mean=0.1),  # sure where nothing is
        scenes.Quality(recall=0.5, noise=0.2, true_mean=0.0, spread=1.5, clutter=2.0, clutter_mean=-0.5),  # loose boxes
    ],
)
def test_a_weak_model_accuses_nobody(quality: scenes.Quality) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        tables = scenes.tables_of(scenes.detect(rng, scenes.uniform(rng, 60, 2), quality))
        aps = in_memory.class_aps(tables)
        suspects = in_memory.run(tables, aps=aps).tables["label_errors"]
        assert max(ap50 for _, ap50 in aps.values()) < 0.32
        assert suspects.num_rows > 20
        assert pc.max(suspects["score"]).as_py() < 0.5


def test_what_left_out_labels_take_from_ap50_does_not_silence_a_good_model() -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 150, 2), scenes.Quality(recall=0.98, noise=0.03, clutter=0.2))
    world.keep_gt((world.gt_class == 2) | (rng.random(len(world.gt_class)) < 0.4))
    tables = scenes.tables_of(world)
    aps = in_memory.class_aps(tables)
    assert aps[1][1] < 0.42
    suspects = in_memory.run(tables, aps=aps).tables["label_errors"]
    own = suspects.filter(pc.equal(suspects["category_id"], 1))
    assert pc.sum(pc.greater_equal(own["score"], 0.7)).as_py() > 100


def _suspects(world: scenes.World, kind: str) -> list[dict]:
    tables = scenes.tables_of(world)
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    seen = observe(scene, np.array(sorted(world.names)))
    found = label_errors(seen.boxes, seen.detections, seen.counts, world.names, run="x", split="val", model="m")
    return [row for row in found.to_pylist() if row["kind"] == kind]


def test_an_object_that_overlaps_a_labelled_one_can_lack_its_label() -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 150, 2), scenes.Quality(recall=0.98, noise=0.03, clutter=0.2))
    beside = rng.choice(len(world.gt_class), 60, replace=False)
    box = world.gt_box[beside].copy()
    box[:, 0] += 0.6 * box[:, 2]  # IoU .25
    world.add_dt(world.gt_image[beside], world.gt_class[beside], box, np.full(60, 0.99))
    found = {(row["image_id"], round(row["suggested_x"], 3)) for row in _suspects(world, "missing")}
    planted = set(zip(world.gt_image[beside].tolist(), box[:, 0].round(3).tolist(), strict=True))
    assert len(found & planted) >= 50


def test_a_class_that_the_model_takes_for_another_is_not_wrongly_labelled_as_a_whole() -> None:
    rng = np.random.default_rng(1)
    world = scenes.detect(rng, scenes.uniform(rng, 150, 4), scenes.Quality(recall=0.95, noise=0.03, clutter=0.2))
    world.dt_class[world.dt_class == 2] = 1
    accused = [row for row in _suspects(world, "wrong_class") if row["score"] >= 0.5]
    assert not accused
    third = np.flatnonzero(world.gt_class == 3)
    world.gt_class[third[::3]] = 4  # so are some labels
    likely = {row["annotation_row"] for row in _suspects(world, "wrong_class") if row["score"] >= 0.5}
    assert len(likely & set(third[::3].tolist())) >= 0.6 * len(third[::3])


def test_a_class_that_the_model_hardly_knows_is_seldom_wrongly_labelled() -> None:
    """It reports it weakly on its own boxes and surely as another, as one that has seen two dozen of them does."""
    rng = np.random.default_rng(1)
    world = scenes.uniform(rng, 150, 4)
    world.keep_gt((world.gt_class != 2) | (rng.random(len(world.gt_class)) < 0.2))
    scenes.detect(rng, world, scenes.Quality(recall=0.95, noise=0.03, clutter=0.2))
    world.dt_class[world.dt_class == 2] = 1
    rare = np.flatnonzero(world.gt_class == 2)
    world.add_dt(world.gt_image[rare], world.gt_class[rare], world.gt_box[rare], rng.uniform(0.02, 0.1, len(rare)))
    accused = [row for row in _suspects(world, "wrong_class") if row["score"] >= 0.5]
    assert len(rare) >= 50
    assert len(accused) <= len(rare) / 8


def _of_sides(side: float) -> scenes.World:
    """Detections of a rare class 2 whose boxes have about this side, and of two others of 60 px."""
    rng = np.random.default_rng(2)
    world = scenes.uniform(rng, 150, 3)
    for one, usual in ((1, 60), (2, side), (3, 60)):
        mine = world.gt_class == one
        world.gt_box[mine, 2:] = usual * rng.uniform(0.8, 1.25, (int(mine.sum()), 2))
    world.keep_gt((world.gt_class != 2) | (rng.random(len(world.gt_class)) < 0.3))
    return scenes.detect(rng, world, DOUBTFUL)


def _likely(world: scenes.World) -> set[int]:
    return {row["annotation_row"] for row in _suspects(world, "wrong_class") if row["score"] >= 0.5}


def test_where_classes_differ_in_size_a_box_tells_for_itself() -> None:
    found, accused = {}, {}
    for side in (60, 15):
        world = _of_sides(side)
        world.dt_class[np.flatnonzero(world.dt_class == 2)[::2]] = 1  # the model takes half of the class for another
        accused[side] = len(_likely(world))
        world = _of_sides(side)
        wrong = np.flatnonzero(world.gt_class == 1)[::3]
        world.gt_class[wrong] = 2  # half of its labels are of another
        likely = _likely(world)
        found[side] = len(likely & set(wrong.tolist()))
        assert found[side] >= 0.9 * len(likely)
    assert found[15] > found[60]
    assert accused[15] <= 0.2 * accused[60]


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.just(2)), elements=st.floats(0)))
def test_by_size_one_class_is_as_much_likelier_as_the_other_is_less(sides: np.ndarray) -> None:
    sizes = Sizes.of({(1, 20): 30, (1, 22): 10, (2, 30): 40, (3, 20): 2})
    one, other, few = (np.full(len(sides), number) for number in (1, 2, 3))
    likelier = sizes.likelier(one, other, sides)
    np.testing.assert_allclose(likelier * sizes.likelier(other, one, sides), 1)
    assert ((likelier >= 1 / MOST) & (likelier <= MOST)).all()
    assert (sizes.likelier(one, few, sides) == 1).all()
    assert sizes.likelier(one[:1], other[:1], np.array([[32.0, 32.0]]))[0] == MOST


SURENESS = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-20, 20))


@given(SURENESS, SURENESS)
def test_a_chance_rises_with_sureness(right: np.ndarray, contradicting: np.ndarray) -> None:
    order = np.argsort(contradicting)
    chance = chance_of_wrong_labels(right, contradicting)[order]
    assert chance.shape == contradicting.shape
    assert ((chance >= 0) & (chance <= 1)).all()
    assert (np.diff(chance) >= -1e-9).all()


def test_contradictions_as_sure_as_the_rest_are_wrong_labels_and_a_thin_tail_is_not() -> None:
    rng = np.random.default_rng(0)
    right = rng.normal(0, 1, 400)
    assert np.median(chance_of_wrong_labels(right, rng.normal(0, 1, 80))) > 0.9
    assert chance_of_wrong_labels(right, rng.normal(-4, 1, 400)).max() < 0.3
    assert len(chance_of_wrong_labels(right, np.empty(0))) == 0


def test_images_that_the_detector_has_not_seen_hold_no_suspects() -> None:
    rng = np.random.default_rng(0)
    tables = scenes.tables_of(scenes.detect(rng, scenes.uniform(rng, 60, 3), scenes.Quality()))
    unseen = tables["images"]["image_id"].slice(0, 20)
    rest = tables["predictions"].filter(pc.invert(pc.is_in(tables["predictions"]["image_id"], value_set=unseen)))
    tables = tables | {"predictions": rest}
    kept = {
        name: tables[name].filter(pc.invert(pc.is_in(tables[name]["image_id"], value_set=unseen)))
        for name in ("images", "annotations")
    }
    aps = dict.fromkeys(range(1, 4), (0.1, 0.1))
    found, expected = in_memory.run(tables, aps=aps, unseen=unseen), in_memory.run(tables | kept, aps=aps)
    assert found.tables["label_errors"].num_rows
    for name in in_memory.TABLES:
        assert found.tables[name].equals(expected.tables[name]), name
    assert found.outcome.notes == [
        "val: 20 images whose pictures could not be read are left out",
        *expected.outcome.notes,
    ]
    assert not in_memory.run(tables, aps=aps).tables["label_errors"].equals(found.tables["label_errors"])

"""What a trained model shows: its detections on training pictures beside those that are evaluated tell which split's
labels are at fault, whether pictures differ, and whether anything was learnt."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import scenes
from in_memory import class_aps, diagnoses
from scenes import World

from detray import schema
from detray.boxes import Reach
from detray.diagnose.settings import DiagnoseSettings

ONE, OTHER, RARE, COMMON = 1, 2, 3, 4
"""The class at fault, the one that it is taken for, a rare one that works, and a common one."""


def worlds(seed: int = 0, quality: scenes.Quality | None = None) -> tuple[World, World]:
    """Two halves of the same kind of pictures, evaluated and trained on, with one model's detections."""
    rng = np.random.default_rng(seed)
    quality = quality or scenes.Quality(recall=0.95, noise=0.03, true_mean=2.0, clutter=1.0, lowest=0.01)
    found = []
    for _ in range(2):
        image = np.arange(100) + 1
        size = np.full((100, 2), (640.0, 480.0))
        gt_image = np.repeat(image, 6)
        gt_class = rng.choice([ONE, OTHER, RARE, COMMON], len(gt_image), p=[0.2, 0.2, 0.1, 0.5])
        side = np.array([0, 90, 80, 70, 60])[gt_class] * np.exp(rng.normal(0, 0.15, len(gt_image)))
        aspect = np.exp(rng.normal(0, 0.1, len(gt_image)))
        wh = np.stack([side * aspect, side / aspect], axis=1)
        place = np.tile(np.array([(x, y) for y in (0, 1) for x in (0, 1, 2)], float), (100, 1))
        xy = place * (213, 240) + rng.uniform(5, 60, wh.shape)
        names = {ONE: "one", OTHER: "other", RARE: "rare", COMMON: "common"}
        world = World(image, size, names, gt_image, gt_class, np.hstack([xy, wh]), np.zeros(len(xy), bool))
        found.append(scenes.detect(rng, world, quality))
    return found[0], found[1]


def findings(*rules: str, category: int = ONE) -> object:
    rows = [
        {"finding_id": str(n), "rule": rule, "family": "class", "severity": 1, "severity_name": "suspect"}
        | {"scope": "class", "split": "val", "category_id": category, "message": "it drifts", "fix": "look"}
        for n, rule in enumerate(rules)
    ]
    return schema.from_rows("findings", rows, run=scenes.RUN)


def first(val: World, train: World, category: int = ONE, **beside: object) -> dict:
    """The first cause of a class; the audit has named split-drift of every class that is at fault."""
    beside.setdefault("findings", findings("split-drift", category=category))
    beside.setdefault("sample", 1.0)
    settings = DiagnoseSettings(classes=(val.names[category],))
    rows = diagnoses(scenes.tables_of(val), settings, train=scenes.tables_of(train, "train"), **beside).to_pylist()
    own = [row for row in rows if row["category_id"] == category]
    return own[0] | {"evidence": json.loads(own[0]["evidence"]), "all": [row["cause"] for row in own]}


def dropped(world: World, share: float, seed: int = 101) -> None:
    rng = np.random.default_rng(seed)
    world.keep_gt((world.gt_class != ONE) | (rng.random(len(world.gt_class)) >= share))


def depressed(world: World, category: int, factor: float) -> None:
    """Scores of a model that has hardly learnt a class."""
    world.dt_score[world.dt_class == category] *= factor


def unsure(world: World, category: int, seed: int = 102) -> None:
    """A model that has learnt a class as background mostly: low scores, and as high ones on background."""
    rng = np.random.default_rng(seed)
    own = world.dt_class == category
    world.dt_score[own] = rng.uniform(0.05, 0.3, own.sum())
    image = np.repeat(world.image, 2)
    box = scenes.background_boxes(rng, world, image)
    world.add_dt(image, category, box, rng.uniform(0.03, 0.2, len(image)))


def test_labels_that_training_lacks_are_told_by_what_the_model_finds_there() -> None:
    val, train = worlds()
    dropped(train, 0.94)
    for world in (val, train):
        unsure(world, ONE)
    row = first(val, train)
    assert (row["cause"], row["evidence"]["split"]) == ("missing_labels", "train")
    assert "training labels lack boxes of `one`" in row["sentence"]
    assert str(row["evidence"]["unlabelled"]) in row["sentence"]


def test_what_training_lacks_is_told_by_numbers_where_the_model_hardly_knows_it() -> None:
    val, train = worlds()
    dropped(train, 0.94)
    for world in (val, train):
        own = world.dt_class == ONE
        world.dt_box[own] = scenes.jitter(np.random.default_rng(120), world.dt_box[own], 0.3)
        world.dt_score[own] = np.random.default_rng(121).uniform(0.05, 0.09, own.sum())
        image = np.repeat(world.image, 5)
        box = scenes.background_boxes(np.random.default_rng(122), world, image)
        world.add_dt(image, ONE, box, np.random.default_rng(123).uniform(0.05, 0.09, len(image)))
    row = first(val, train)
    assert (row["cause"], row["evidence"]["split"]) == ("missing_labels", "train")
    assert "the model detects it" in row["sentence"]


def test_what_a_model_that_has_learnt_little_mixes_up_in_both_splits_is_no_wrong_label() -> None:
    """One class in four is learnt; another sits on boxes of all, of training pictures as of others."""
    val, train = worlds(4)
    for seed, world in enumerate((val, train)):
        rng = np.random.default_rng(seed)
        others = rng.choice(np.flatnonzero(world.gt_class != ONE), 200, replace=False)
        score = rng.choice(world.dt_score[world.dt_class == ONE], len(others))
        world.add_dt(world.gt_image[others], ONE, scenes.jitter(rng, world.gt_box[others], 0.03), score)
        for category in (OTHER, RARE):
            image = np.repeat(world.image, 3)
            box = scenes.background_boxes(rng, world, image)
            world.add_dt(image, category, box, rng.choice(world.dt_score[world.dt_class == category], len(image)))
    row = first(val, train)
    assert row["cause"] != "wrong_labels"
    assert "undertrained" in row["all"]


def test_a_cut_of_all_scores_leaves_nothing_to_learn_of() -> None:
    quality = scenes.Quality(recall=0.95, noise=0.03, true_mean=1.0, clutter=1.0, lowest=0.7)
    val, train = worlds(20, quality)
    for world in (val, train):
        own = np.flatnonzero(world.dt_class == RARE)
        keep = np.ones(len(world.dt_class), bool)
        keep[own[1:]] = False
        world.keep_dt(keep)
    assert first(val, train, RARE, findings=findings())["cause"] == "score_threshold"


def test_a_fault_of_the_training_labels_takes_another_training_to_confirm() -> None:
    val, train = worlds()
    dropped(train, 0.94)
    for world in (val, train):
        unsure(world, ONE)
    tables = {"train": scenes.tables_of(train, "train"), "sample": 1.0}
    settings = DiagnoseSettings(classes=("one",), confirm=True)
    rows = diagnoses(scenes.tables_of(val), settings, **tables).to_pylist()
    assert rows[0]["cause"] == "missing_labels"
    assert "takes another training, with its labels mended" in str(rows[0])


def test_labels_that_the_evaluated_split_lacks_are_no_shift() -> None:
    val, train = worlds(1)
    dropped(val, 0.65)
    row = first(val, train)
    assert (row["cause"], row["evidence"].get("split", "evaluated")) == ("missing_labels", "evaluated")
    assert row["d_ap"] > 0.2
    assert "train_eval_shift" not in row["all"]


def test_a_class_that_is_rarer_in_training_lacks_no_labels() -> None:
    val, train = worlds(2)
    gone = (train.gt_class == ONE) & (np.random.default_rng(100).random(len(train.gt_class)) < 0.9)
    boxes = train.gt_box[gone]
    where = train.gt_image[gone]
    train.keep_gt(~gone)
    near = [
        not any((image == where) & (np.abs(box[:2] - boxes[:, :2]) < 40).all(axis=1))
        for image, box in zip(train.dt_image, train.dt_box, strict=True)
    ]
    train.keep_dt(np.array(near))
    unsure(val, ONE)
    unsure(train, ONE)
    assert first(val, train)["cause"] != "missing_labels"


def relabelled(world: World, category: int, label: int, share: float) -> None:
    rng = np.random.default_rng(103)
    world.gt_class = world.gt_class.copy()
    world.gt_class[(world.gt_class == category) & (rng.random(len(world.gt_class)) < share)] = label


@pytest.mark.parametrize("category", [ONE, OTHER])
def test_names_that_are_wrong_in_the_evaluated_split_alone(category: int) -> None:
    val, train = worlds(3)
    relabelled(val, ONE, OTHER, 0.6)
    row = first(val, train, category)
    assert (row["cause"], row["evidence"].get("split", "evaluated")) == ("wrong_labels", "evaluated")
    assert row["d_ap"] > 0.1


@pytest.mark.parametrize("seed", [3, 33])
def test_a_common_class_has_few_of_the_boxes_of_a_rarer_one_and_yet_its_names_are_wrong(seed: int) -> None:
    val, train = worlds(seed)
    relabelled(val, ONE, COMMON, 0.6)
    row = first(val, train, COMMON)
    assert (row["cause"], row["evidence"].get("split")) == ("wrong_labels", "evaluated"), row["all"]
    assert "sure detections of `one` (id 1) sit on boxes of `common` (id 4)" in row["sentence"]
    true = class_aps(scenes.tables_of(worlds(seed)[0]))[COMMON][0]
    assert row["ap"] + row["d_ap"] == pytest.approx(true, abs=0.1)


def torn(world: World, category: int, label: int) -> None:
    """A model that was told of both names for one kind of object says both, mostly the more frequent one surer."""
    own = np.flatnonzero(world.dt_class == category)
    rng = np.random.default_rng(104)
    world.add_dt(world.dt_image[own], label, world.dt_box[own], rng.uniform(0.45, 0.7, len(own)))
    world.dt_score[own] = rng.uniform(0.3, 0.55, len(own))


@pytest.mark.parametrize("category", [ONE, OTHER])
def test_names_that_are_wrong_in_training_alone(category: int) -> None:
    val, train = worlds(4)
    for world in (val, train):
        torn(world, ONE, OTHER)
    relabelled(train, ONE, OTHER, 0.6)
    row = first(val, train, category, findings=findings("split-drift", category=category))
    assert (row["cause"], row["evidence"].get("split")) == ("wrong_labels", "train"), row["all"]


def test_a_confusion_in_both_splits_is_no_wrong_name() -> None:
    val, train = worlds(5)
    rng = np.random.default_rng(105)
    for world in (val, train):
        taken = (world.dt_class == ONE) & (rng.random(len(world.dt_class)) < 0.6)
        world.dt_class[taken] = OTHER
    row = first(val, train, findings=findings())
    assert row["cause"] == "class_confusion"


def test_what_a_model_learnt_by_heart_does_not_accuse_the_labels_here() -> None:
    val, train = worlds(17)
    rng = np.random.default_rng(117)
    train.dt_score = np.where(train.dt_score > 0.3, rng.uniform(0.9, 1, len(train.dt_score)), train.dt_score)
    val.dt_score = np.where(val.dt_score > 0.3, rng.uniform(0.4, 1, len(val.dt_score)), val.dt_score)
    taken = (val.dt_class == ONE) & (rng.random(len(val.dt_class)) < 0.6)
    val.dt_class[taken] = OTHER
    image = np.repeat(val.image, 2)
    box = scenes.background_boxes(rng, val, image)
    val.add_dt(image, ONE, box, rng.uniform(0.4, 1, len(image)))
    row = first(val, train, findings=findings())
    assert row["cause"] == "overfit", row["all"]
    row = first(val, train, OTHER, findings=findings())
    assert "wrong_labels" not in row["all"]


def loosened(world: World, category: int, most: float) -> None:
    """Each side of the class's boxes lies outside by up to a share of the box."""
    rng = np.random.default_rng(106)
    rows = world.gt_class == category
    sides = rng.uniform(0, most, (rows.sum(), 4)) * np.tile(world.gt_box[rows, 2:], 2)
    world.gt_box[rows, :2] -= sides[:, :2]
    world.gt_box[rows, 2:] += sides[:, :2] + sides[:, 2:]


def test_boxes_that_are_loose_in_the_evaluated_split() -> None:
    val, train = worlds(6)
    true = class_aps(scenes.tables_of(val))[ONE][0]
    loosened(val, ONE, 0.5)
    row = first(val, train, findings=findings("split-drift", "size-outlier"))
    assert (row["cause"], row["evidence"].get("split")) == ("noisy_boxes", "evaluated"), row["all"]
    assert row["evidence"]["larger"] > 1.2
    assert row["d_ap"] > 0.1
    assert row["d_ap_is_ceiling"] is False
    assert row["ap"] + row["d_ap"] == pytest.approx(true, abs=0.05)


def test_redrawn_boxes_are_met_as_tightly_as_the_model_draws_on_these_pictures() -> None:
    val, train = worlds(6)
    val.dt_box = scenes.jitter(np.random.default_rng(111), val.dt_box, 0.06)  # it has seen the others in training
    true, learnt = (class_aps(scenes.tables_of(world))[ONE][0] for world in (val, train))
    assert learnt - true > 0.15
    loosened(val, ONE, 0.6)
    row = first(val, train)
    assert (row["cause"], row["evidence"].get("split")) == ("noisy_boxes", "evaluated"), row["all"]
    assert row["ap"] + row["d_ap"] == pytest.approx(true, abs=0.1)


def test_boxes_that_are_loose_in_training_make_the_model_draw_so() -> None:
    val, train = worlds(7)
    rng = np.random.default_rng(107)
    for world in (val, train):
        own = world.dt_class == ONE
        margin = 0.25 * world.dt_box[own, 2:]  # what the model has learnt: the mean
        world.dt_box[own, :2] -= margin
        world.dt_box[own, 2:] += 2 * margin
        world.dt_score[own] *= rng.uniform(0.2, 0.5, own.sum())  # in doubt of its boxes, so of the rest
    loosened(train, ONE, 0.5)
    row = first(val, train)
    assert (row["cause"], row["evidence"].get("split")) == ("noisy_boxes", "train"), row["all"]
    assert row["sentence"].startswith("The training labels of `one` (id 1) are loose")


def test_a_model_that_draws_badly_where_it_was_not_trained_has_no_loose_boxes() -> None:
    val, train = worlds(8)
    own = val.dt_class == ONE
    val.dt_box[own] = scenes.jitter(np.random.default_rng(108), val.dt_box[own], 0.2)
    assert first(val, train, findings=findings())["cause"] not in ("noisy_boxes", "missing_labels", "wrong_labels")


def stats(val: World, train: World, **medians: tuple[float, float]) -> object:
    """image_stats of both splits, whose pictures have these medians here and there."""
    rng = np.random.default_rng(109)
    usual = {"brightness": (190.0, 190.0), "contrast": (40.0, 40.0), "sharpness": (300.0, 300.0)} | medians
    rows = [
        {"split": split, "image_id": int(image), "file_name": f"{n}.jpg", "is_decoded": True}
        | {name: float(both[place] * np.exp(rng.normal(0, 0.1))) for name, both in usual.items()}
        for place, (split, world) in enumerate((("val", val), ("train", train)))
        for n, image in enumerate(world.image)
    ]
    return schema.from_rows("image_stats", rows, run=scenes.RUN)


def blind(world: World) -> None:
    """A model that finds half, loosely, and the small ones least."""
    rng = np.random.default_rng(110)
    area = world.dt_box[:, 2:].prod(axis=1)
    world.keep_dt(rng.random(len(area)) < np.clip(area / 90**2, 0.05, 0.6))
    world.dt_box = scenes.jitter(rng, world.dt_box, 0.15)
    world.dt_score = world.dt_score * 0.3


@pytest.mark.parametrize("change", [{"brightness": (65.0, 190.0)}, {"sharpness": (20.0, 300.0)}])
def test_pictures_of_another_kind_are_a_shift(change: dict) -> None:
    val, train = worlds(9)
    blind(val)
    for category in (ONE, COMMON):
        row = first(val, train, category, pictures=stats(val, train, **change), findings=findings())
        ap = class_aps(scenes.tables_of(train))[category][0]
        assert row["cause"] == "train_eval_shift", row["all"]
        assert f"{ap:.2f} (AP50" in row["sentence"]
        assert f"the {next(iter(change))} of the pictures is" in row["sentence"]
        assert row["d_ap"] == pytest.approx(ap - row["ap"], abs=1e-6)
        assert row["d_ap_is_ceiling"] is True


def test_on_pictures_of_another_kind_sure_detections_alone_are_no_missing_labels() -> None:
    val, train = worlds(13)
    for label in (val.gt_class, val.dt_class):  # the model sees the class twice as often as in training ...
        label[label == OTHER] = ONE
    dropped(val, 0.5)  # ... where as many boxes as there are drawn
    alike, dark = stats(val, train), stats(val, train, brightness=(65.0, 190.0))
    assert first(val, train, pictures=alike, findings=findings())["cause"] == "missing_labels"
    row = first(val, train, pictures=dark, findings=findings())
    assert (row["cause"], "missing_labels" in row["all"]) == ("train_eval_shift", False), row["all"]
    val, train = worlds(13)
    dropped(val, 0.5)  # half of what training has
    assert first(val, train, pictures=dark, findings=findings())["cause"] == "missing_labels"


def test_what_is_to_cover_a_difference_follows_from_what_was_measured() -> None:
    val, train = worlds(13)
    found = [
        first(
            val.without_detections(), train, pictures=stats(val, train, brightness=(here, 190.0)), findings=findings()
        )
        for here in (45.0, 65.0)  # and 65 is what negatives of 190 have
    ]
    assert [row["cause"] for row in found] == ["train_eval_shift"] * 2
    assert "      brightness:\n        p: 0.8\n        amount: 0.92" in found[0]["remedy_config"]
    assert "brightness (p 0.8, amount 0.9" in found[0]["remedy"]
    assert found[1]["remedy"].startswith("Look whether the pictures are negatives")


def test_where_pictures_are_alike_it_is_overfit() -> None:
    val, train = worlds(9)
    row = first(val.without_detections(), train, pictures=stats(val, train), findings=findings())
    assert row["cause"] == "overfit"
    assert "AP50 of 0.9" in row["sentence"]
    assert "on a sample of 100 training pictures" in row["sentence"]
    assert "- strong\n    - default" in row["remedy_config"]  # so far apart that little helps little


def test_a_class_of_few_pixels_at_the_input_is_too_small_and_not_rare() -> None:
    val, train = worlds(11)
    rng = np.random.default_rng(111)
    for world in (val, train):
        for rows, name in ((world.gt_class == RARE, "gt_box"), (world.dt_class == RARE, "dt_box")):
            box = getattr(world, name)
            box[rows, 2:] *= 0.4
        lost = (world.dt_class == RARE) & (rng.random(len(world.dt_class)) < 0.65)
        world.keep_dt(~lost)
        depressed(world, RARE, 0.1)
    reach = Reach(160, 120, ((32.0, 32.0), (16.0, 16.0)))
    row = first(val, train, RARE, reach=reach, findings=findings())
    assert row["cause"] == "small_objects", row["all"]
    assert row["evidence"]["median_side"] < 8
    assert "160 x 120" in row["sentence"]


def test_a_rarer_class_that_works_leaves_nothing_for_rarity_to_explain() -> None:
    val, train = worlds(12)
    for world in (val, train):
        keep = np.ones(len(world.gt_class), bool)
        keep[np.flatnonzero(world.gt_class == ONE)[30:]] = False
        world.keep_gt(keep)
        keep = np.ones(len(world.gt_class), bool)
        keep[np.flatnonzero(world.gt_class == RARE)[25:]] = False
        world.keep_gt(keep)
        unsure(world, ONE)
    tables = {"findings": findings(), "train": scenes.tables_of(train.without_detections(), "train")}
    rows = diagnoses(scenes.tables_of(val), **tables).to_pylist()
    assert "class_imbalance" not in [row["cause"] for row in rows if row["category_id"] == ONE]


@pytest.mark.parametrize("losses", [(), (2.0, 1.1)])
def test_a_model_that_has_learnt_no_class_is_undertrained(losses: tuple[float, ...]) -> None:
    poor = scenes.Quality(recall=0.35, noise=0.16, true_mean=-2.0, clutter=5.0, clutter_mean=-2.0, lowest=0.01)
    val, train = worlds(13, poor)
    val.keep_dt(val.dt_class != RARE)
    train.keep_dt(train.dt_class != RARE)
    for category in (ONE, RARE, COMMON):
        row = first(val, train, category, findings=findings("split-drift", category=category), losses=losses)
        assert row["cause"] == "undertrained", row["all"]
        assert "0 of 4 classes are" in row["sentence"]
        assert ("2 epochs, and the last one still took 45% off the loss" in row["sentence"]) == bool(losses)


def test_nothing_is_said_of_classes_that_are_well() -> None:
    val, train = worlds(14)
    rows = diagnoses(scenes.tables_of(val), train=scenes.tables_of(train, "train"), sample=1.0)
    assert rows.num_rows == 0


@pytest.mark.parametrize("plant", [scenes.localization, scenes.class_confusion, scenes.duplicates, scenes.bad_ranking])
def test_what_a_model_does_in_both_splits_is_no_fault_of_labels(
    plant: Callable[[np.random.Generator, World, int], None],
) -> None:
    val, train = worlds(15)
    for world in (val, train):
        plant(np.random.default_rng(115), world, ONE)
    rows = diagnoses(scenes.tables_of(val), train=scenes.tables_of(train, "train"), sample=1.0).to_pylist()
    causes = {row["cause"] for row in rows}
    assert not causes & {"missing_labels", "wrong_labels", "noisy_boxes", "train_eval_shift", "overfit"}
    assert plant.__name__ in causes


def test_half_of_the_training_pictures_tell_as_much_as_they_hold() -> None:
    val, train = worlds(16)
    val.keep_dt(val.dt_class != ONE)
    row = first(val, train, sample=0.5, findings=findings())
    assert row["cause"] == "overfit", row["all"]
    assert "training pictures" in row["sentence"]
    assert row["evidence"]["training_ap50"] > 0.8

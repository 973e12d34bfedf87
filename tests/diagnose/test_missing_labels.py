"""Objects without a box are told from errors of the model, as far as files can tell."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scenes
import suite

from detray.diagnose.case import Case
from detray.diagnose.evidence.bare_images import BareImages
from detray.diagnose.evidence.inputs import Inputs
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.image_set import read_image_set
from detray.diagnose.observation.observe import observe
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.steps.classes import cases_of

ONE = 1
NAMED = DiagnoseSettings(classes=("class1",))


def _world(rng: np.random.Generator, per_image: float, drawn: float = 0.5, n_images: int = 120) -> scenes.World:
    """Two classes that work; the first stands in a share ``drawn`` of the images, about ``per_image`` in each."""
    world = scenes.uniform(rng, n_images, 2, per_image)
    world.gt_box[:, 2:] /= 2  # images with many boxes have room for background too
    other = rng.choice(world.image, round(len(world.image) * (1 - drawn)), replace=False)
    world.gt_class[:] = np.where(np.isin(world.gt_image, other), 2, ONE)
    half = rng.random(len(world.gt_class)) < 0.3
    world.gt_class[half] = np.where(np.isin(world.gt_image[half], other), 2, world.gt_class[half])
    return scenes.detect(rng, world, scenes.Quality(recall=0.93, clutter=0.5, second_labels=0.0))


def _clutter(rng: np.random.Generator, world: scenes.World, per_image: float) -> None:
    """Detections on background everywhere, most below the median of the true ones."""
    image = np.repeat(world.image, rng.poisson(per_image, len(world.image)))
    low, high = np.quantile(_true_scores(rng, world), [0.05, 0.45])
    world.add_dt(image, ONE, scenes.background_boxes(rng, world, image, ONE), rng.uniform(low, high, len(image)))


def _true_scores(rng: np.random.Generator, world: scenes.World) -> np.ndarray:
    return scenes._typical_scores(rng, world, ONE, 400)


def _skip(rng: np.random.Generator, world: scenes.World, share: float) -> set[int]:
    """Boxes of the class left out of a share of the images that hold it; their ids."""
    drawn = np.unique(world.gt_image[world.gt_class == ONE])
    skipped = rng.choice(drawn, round(len(drawn) * share), replace=False)
    world.keep_gt(~((world.gt_class == ONE) & np.isin(world.gt_image, skipped)))
    return set(skipped.tolist())


def _err_in_half_of_the_others(rng: np.random.Generator, world: scenes.World, kind: str) -> None:
    """False detections in half of the images without the object."""
    bare = np.setdiff1d(world.image, world.gt_image[world.gt_class == ONE])
    bare = rng.choice(bare, len(bare) // 2, replace=False)
    typical = _true_scores(rng, world)
    counts = np.ones(len(bare), int) if kind == "fewer" else rng.integers(1, 4, len(bare))
    image = np.repeat(bare, counts)
    scores = {
        "surer": rng.uniform(np.quantile(typical, 0.75), 1, len(image)),
        "less sure": rng.uniform(0.3 * np.median(typical), 1.05 * np.median(typical), len(image)),
        "fewer": rng.choice(typical, len(image)),
    }[kind]
    world.add_dt(image, ONE, scenes.background_boxes(rng, world, image, ONE), scores)


def _rows(world: scenes.World) -> list[dict]:
    return [row for row in suite.diagnosed(world, NAMED).to_pylist() if row["category_id"] == ONE]


def _case(world: scenes.World) -> Case:
    tables = scenes.tables_of(world)
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    seen = observe(scene, np.array([ONE]))
    [case] = cases_of(seen, seen, MappingFaults(), world.names, [ONE], Inputs())
    return case


def _bare(case: Case) -> BareImages:
    return BareImages.of(case.background, case.split.n_images_detected)


@pytest.mark.parametrize("clutter", [0.0, 1.0])
def test_a_class_skipped_in_half_of_its_images_is_named_with_them(clutter: float) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        world = _world(rng, 3)
        _clutter(rng, world, clutter)
        skipped = _skip(rng, world, 0.5)
        row = _rows(world)[0]
        assert row["cause"] == "missing_labels"
        assert row["d_ap"] > 0.1
        worst = json.loads(row["evidence"])["worst_images"]
        assert len(worst) == 10
        assert len(set(worst) & skipped) >= 9


def test_a_few_skipped_images_among_many_with_clutter_are_found() -> None:
    n_found = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        world = _world(rng, 8, drawn=1.0, n_images=80)
        _clutter(rng, world, 4)
        skipped = _skip(rng, world, 0.06)
        for row in _rows(world):
            if row["cause"] == "missing_labels":
                n_found += 1
                numbers = json.loads(row["evidence"])
                assert set(numbers["worst_images"]) <= skipped
                assert f"{numbers['images']} images hold no box of `class1`" in row["sentence"]
                assert f"{numbers['unlabelled']} confident detections" in row["sentence"]
                assert numbers["images"] >= len(skipped) - 1
    assert n_found >= 7  # so few scores are unlike the usual ones by chance at times


@pytest.mark.parametrize("kind", ["surer", "less sure", "fewer"])
@pytest.mark.parametrize("clutter", [0.0, 2.0])
def test_errors_in_half_of_the_images_without_the_object_are_not_put_down_to_the_annotator(
    kind: str, clutter: float
) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        world = _world(rng, 8 if kind == "fewer" else 3, drawn=0.25)
        _clutter(rng, world, clutter)
        _err_in_half_of_the_others(rng, world, kind)
        assert "missing_labels" not in [row["cause"] for row in _rows(world)]


def test_clutter_everywhere_is_not_put_down_to_the_annotator() -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        world = _world(rng, 5)
        _clutter(rng, world, 5)
        assert "missing_labels" not in [row["cause"] for row in _rows(world)]


def test_boxes_left_out_of_crowded_images_are_named_with_the_images() -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        world = _world(rng, 6)
        drawn, n = np.unique(world.gt_image[world.gt_class == ONE], return_counts=True)
        crowded = drawn[n >= np.median(n)]
        gone = np.isin(world.gt_image, crowded) & (world.gt_class == ONE) & (rng.random(len(world.gt_image)) < 0.6)
        world.keep_gt(~gone)
        row = _rows(world)[0]
        assert row["cause"] == "missing_labels"
        assert set(json.loads(row["evidence"])["worst_images"]) <= set(crowded.tolist())


def test_more_images_without_box_and_detection_are_more_room_for_chance() -> None:
    rng = np.random.default_rng(3)
    world = _world(rng, 3)
    _skip(rng, world, 0.5)
    alone = _bare(_case(world)).errors
    keep = (world.dt_class == ONE) | np.isin(world.dt_image, world.gt_image[world.gt_class == ONE])
    without = world.copy()
    without.keep_dt(keep)  # nothing at all is detected in the images that hold neither
    assert alone < _bare(_case(without)).errors


def test_boxes_leave_less_room() -> None:
    rng = np.random.default_rng(5)
    world = _world(rng, 8, drawn=1.0)
    bare = _bare(_case(world))
    n = np.array([(world.gt_image == image).sum() for image in bare.images])
    assert (bare.room[n == 0] == 1).all()
    assert (bare.room > 0).all()
    assert bare.room[n >= np.median(n)].mean() < bare.room[n < np.median(n)].mean()


def test_a_planted_confusion_with_background_is_not_put_down_to_the_annotator() -> None:
    for seed in range(190, 196):
        trial = suite.run_trial(seed, ("background_confusion",), "uniform", None)
        assert trial is None or "missing_labels" not in trial.causes


def test_boxes_of_any_size_leave_some_room() -> None:
    for side, size in ((1e308, 640.0), (1e308, np.nan), (0.0, 640.0), (640.0, 640.0)):
        case = _case(_world(np.random.default_rng(6), 8))
        box = case.result.boxes.box.copy()
        box[::2, 2:] = side
        boxes = replace(case.result.boxes, box=box, image_size=np.full((len(box), 2), size))
        bare = _bare(replace(case, result=replace(case.result, boxes=boxes)))
        assert ((bare.room > 0) & (bare.room <= 1)).all()
        assert np.isfinite(bare.errors)

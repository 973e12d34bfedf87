"""A class whose detector hardly works accuses no other of wrong labels."""

import numpy as np
import scenes
import suite

from detray import schema
from detray.diagnose.label_errors import label_errors
from detray.diagnose.observation.image_set import read_image_set
from detray.diagnose.observation.observe import observe
from detray.diagnose.settings import DiagnoseSettings

BROKEN = 1
LIKELY = 0.5


def _world(seed: int, level: float) -> scenes.World:
    """Classes that work, and one that is found nowhere: its detections sit on the others' objects, with
    scores of about ``level``."""
    rng = np.random.default_rng(seed)
    world = scenes.detect(rng, scenes.uniform(rng, 80, 5), scenes.Quality(recall=0.95, true_mean=2.5))
    world.keep_dt(world.dt_class != BROKEN)
    others = np.flatnonzero(world.gt_class != BROKEN)
    rows = rng.choice(others, len(others) // 2, replace=False)
    scores = rng.uniform(level * 0.8, level, len(rows))
    world.add_dt(world.gt_image[rows], BROKEN, scenes.jitter(rng, world.gt_box[rows], 0.05), scores)
    return world


def test_a_class_that_hardly_works_accuses_no_other() -> None:
    for seed in range(4):
        # also where its own few true detections score as low as its false ones: a high place among nothing
        for level in (0.1, 0.3):
            world = _world(seed, level)
            mine = np.flatnonzero(world.gt_class == BROKEN)[:4]
            world.add_dt(world.gt_image[mine], BROKEN, world.gt_box[mine], np.full(len(mine), level / 2))
            assert _accused_by(world, BROKEN) == 0


def test_a_class_that_works_does_accuse() -> None:
    rng = np.random.default_rng(1)
    world = scenes.detect(rng, scenes.uniform(rng, 80, 5), scenes.Quality(recall=0.95, true_mean=2.5))
    mine = np.flatnonzero(world.gt_class == BROKEN)
    wrong = mine[: len(mine) // 4]
    world.gt_class[wrong] = rng.choice([2, 3, 4, 5], len(wrong))
    assert _accused_by(world, BROKEN) >= len(wrong) // 3


def test_no_weak_class_is_put_down_to_the_labels_because_of_it() -> None:
    for seed in range(4):
        found = suite.diagnose(_world(seed, 0.3), DiagnoseSettings())
        assert all("wrong_labels" not in causes for category, causes in found.items() if category != BROKEN)


def _accused_by(world: scenes.World, category: int) -> int:
    """Boxes of other classes that are likelier than not to be of ``category``, by its detections."""
    tables = scenes.tables_of(world)
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    seen = observe(scene, np.array(sorted(world.names)))
    found = label_errors(seen.boxes, seen.detections, seen.counts, world.names, run="x", split="val", model="m")
    assert found.schema.equals(schema.empty("label_errors").schema, check_metadata=False)
    rows = [row for row in found.to_pylist() if row["kind"] == "wrong_class" and row["score"] >= LIKELY]
    return sum(row["suggested_category_id"] == category and row["category_id"] != category for row in rows)


RARE = 6


def test_a_rare_class_of_a_weak_detector_is_not_called_mislabelled() -> None:
    """A detector that has seen little of a class fires it on objects of all others; so are their false detections
    as many and as high, though those lie on background."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        world = scenes.detect(rng, scenes.uniform(rng, 120, 6), scenes.Quality(recall=0.9, true_mean=1.0))
        world.keep_dt(world.dt_class != RARE)
        rare = np.flatnonzero(world.gt_class == RARE)
        world.keep_gt(~np.isin(np.arange(len(world.gt_class)), rare[8:]))
        rare, others = np.flatnonzero(world.gt_class == RARE), np.flatnonzero(world.gt_class != RARE)
        for rows in (rare, rng.choice(others, 150, replace=False)):
            boxes = scenes.jitter(rng, world.gt_box[rows], 0.04)
            world.add_dt(world.gt_image[rows], RARE, boxes, rng.uniform(0.2, 0.5, len(rows)))
        for category in range(1, RARE):
            images = world.gt_image[rng.integers(0, len(world.gt_image), 300)]
            world.add_dt(images, category, scenes.background_boxes(rng, world, images), rng.uniform(0.2, 0.5, 300))
        assert suite.diagnose(world, DiagnoseSettings())[RARE][0] == "class_imbalance"

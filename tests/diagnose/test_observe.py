"""Observations are the same for any cut, and say what detections sit on."""

import numpy as np
import scenes
from numpy.testing import assert_array_equal

from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.observation import rows as o
from detray.diagnose.observation.columns import from_arrow, join, take, to_arrow
from detray.diagnose.observation.counts import ClassCounts, bin_score, score_bin
from detray.diagnose.observation.image_set import ImageSet, read_image_set, subset
from detray.diagnose.observation.observe import observe
from detray.evaluate.kernel import class_average_precision


def _scene(world: scenes.World) -> ImageSet:
    tables = scenes.tables_of(world)
    return read_image_set(tables["images"], tables["annotations"], tables["predictions"])


def _drawn(boxes: list[tuple], detections: list[tuple]) -> ImageSet:
    """One image 100 x 100; boxes are class, x, y, w, h; detections class, score, x, y, w, h."""
    gt, dt = np.array(boxes, float).reshape(-1, 5), np.array(detections, float).reshape(-1, 6)
    world = scenes.World(
        np.array([1]),
        np.array([[100.0, 100.0]]),
        {1: "a", 2: "b"},
        np.ones(len(gt), int),
        gt[:, 0].astype(int),
        gt[:, 1:],
        np.zeros(len(gt), bool),
    )
    world.add_dt(np.ones(len(dt), int), dt[:, 0].astype(int), dt[:, 2:], dt[:, 1])
    return _scene(world)


def test_each_detection_has_one_outcome() -> None:
    scene = _drawn(
        [(1, 0, 0, 20, 20), (2, 50, 50, 20, 20), (1, 0, 60, 20, 20)],
        [
            (1, 0.9, 0, 0, 20, 20),
            (1, 0.8, 1, 0, 20, 20),
            (1, 0.7, 50, 50, 20, 20),
            (1, 0.6, 12, 60, 20, 20),
            (1, 0.5, 70, 5, 20, 20),
        ],
    )
    seen = observe(scene, np.array([1]))
    assert seen.detections.outcome.tolist() == [o.TRUE, o.DUPLICATE, o.ON_OTHER, o.LOOSE, o.BACKGROUND]
    assert seen.boxes.outcome.tolist() == [o.HIT, o.NEAR]
    assert seen.detections.other_category.tolist()[2] == 2


def test_a_cover_is_a_detection_that_is_false_for_its_own_class() -> None:
    overlapping = _drawn([(1, 0, 0, 20, 20), (2, 1, 0, 20, 20)], [(2, 0.9, 1, 0, 20, 20)])
    assert observe(overlapping, np.array([1])).boxes.outcome.tolist() == [o.UNTOUCHED]
    confused = _drawn([(1, 0, 0, 20, 20)], [(2, 0.9, 1, 0, 20, 20)])
    seen = observe(confused, np.array([1]))
    assert seen.boxes.outcome.tolist() == [o.COVERED]
    assert seen.counts.votes == {(1, 2): 1}


def test_any_cut_gives_the_same_rows_and_counts() -> None:
    rng = np.random.default_rng(1)
    world = scenes.detect(rng, scenes.uniform(rng, 40, 5), scenes.Quality(clutter=10))
    scene, weak, floors = _scene(world), np.array([1, 3]), {2: 0.5, 4: 0.3, 5: 0.9}
    whole = observe(scene, weak, floors=floors)
    cuts = np.array_split(scene.images.id, 7)
    parts = [observe(subset(scene, ids), weak, floors=floors) for ids in cuts]
    for name in ("boxes", "detections"):
        joined = join([getattr(part, name) for part in parts])
        for key, values in vars(getattr(whole, name)).items():
            assert_array_equal(values, getattr(joined, key), err_msg=key)
    assert ClassCounts.sum(part.counts.to_arrow() for part in reversed(parts)) == whole.counts


def test_the_view_has_the_average_precision_of_the_evaluation() -> None:
    rng = np.random.default_rng(2)
    world = scenes.detect(rng, scenes.uniform(rng, 40, 3), scenes.Quality(recall=0.5, clutter=5))
    scene = _scene(world)
    seen = observe(scene, np.array([1, 2, 3]))
    for own in (1, 2, 3):
        view = ClassResult(
            take(seen.boxes, seen.boxes.category == own), take(seen.detections, seen.detections.category == own)
        )
        gt = take(scene.gt, scene.gt.category == own)
        rows = scene.dt.category == own
        dt = type(scene.dt)(*(getattr(scene.dt, k)[rows] for k in ("image", "category", "box", "score", "rank")))
        assert view.ap == class_average_precision(gt, dt).mean()
        assert view.ap50 == class_average_precision(gt, dt)[0]


def test_rows_survive_arrow() -> None:
    rng = np.random.default_rng(3)
    world = scenes.detect(rng, scenes.uniform(rng, 10, 3), scenes.Quality())
    seen = observe(_scene(world), np.array([1, 2, 3]))
    for rows in (seen.boxes, seen.detections):
        again = from_arrow(type(rows), to_arrow(rows))
        for key, values in vars(rows).items():
            assert_array_equal(values, getattr(again, key), err_msg=key)


def test_bins_keep_the_order_of_scores() -> None:
    scores = np.sort(np.concatenate([np.random.default_rng(0).random(1000), [0.0, 1.0, 1e-6]]))
    bins = score_bin(scores)
    assert (np.diff(bins) >= 0).all()
    back = np.array([bin_score(int(k)) for k in bins])
    assert (back <= scores + 1e-12).all()
    assert (back >= scores * 0.98 - 1e-12).all()

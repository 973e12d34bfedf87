"""Formats, image ids and class ids are recovered, and named right."""

from collections.abc import Sequence

import numpy as np
import pytest
import scenes
import suite
import yaml
from in_memory import class_aps, diagnoses

from detray.diagnose.mapping.box_encoding import BoxEncoding, readings
from detray.diagnose.mapping.label_map import find_remaps, miscounted
from detray.diagnose.mapping.pairing import candidates, sample_images
from detray.diagnose.observation.counts import ClassCounts
from detray.diagnose.observation.image_set import read_image_set, subset
from detray.diagnose.observation.observe import observe
from detray.diagnose.settings import DiagnoseSettings

NAMES = {
    "xyxy": "xmin, ymin, xmax, ymax in pixels",
    "centre": "x centre, y centre, width, height in pixels",
    "yx": "y, x, height, width in pixels",
    "yxyx": "ymin, xmin, ymax, xmax in pixels",
    "normalised": "x, y, width, height as shares of the image",
    "normalised yxyx": "ymin, xmin, ymax, xmax as shares of the image",
    "normalised centre": "x centre, y centre, width, height as shares of the image",
    "resized 640": "stretched to 640 x 640",
    "letterboxed 416": "letterboxed to 416 x 416",
    "twice": "corners subtracted from sizes",
    "half": "in pixels times 0.5",
}


def _world(seed: int = 0, n_classes: int = 4) -> scenes.World:
    rng = np.random.default_rng(seed)
    world = scenes.uniform(rng, 60, n_classes)
    world.size[:] = np.array([[640, 480], [480, 640], [1280, 720]])[np.arange(60) % 3]
    keep = (world.gt_box[:, :2] + world.gt_box[:, 2:] <= world.size_of(world.gt_image)).all(axis=1)
    world.keep_gt(keep)
    return scenes.detect(rng, world, scenes.Quality())


@pytest.mark.parametrize("name", scenes.FORMATS)
@pytest.mark.parametrize("side", ["detections", "ground truth"])
def test_every_format_is_named_on_either_side(name: str, side: str) -> None:
    if side == "ground truth" and name in ("resized 640", "letterboxed 416", "half"):
        pytest.skip("a scale is told, and not on which side it is wrong")
    world = _world()
    change = scenes.FORMATS[name]
    if side == "detections":
        world.dt_box = change(world.dt_box, world.size_of(world.dt_image))
    else:
        world.gt_box = change(world.gt_box, world.size_of(world.gt_image))
    rows = suite.diagnosed(world, DiagnoseSettings()).to_pylist()
    first = [row for row in rows if row["rank"] == 1]
    assert {row["cause"] for row in first} == {"box_format"}
    assert all(NAMES[name] in row["sentence"] and side in row["sentence"] for row in first), first[0]["sentence"]
    assert all(row["d_ap"] > 0.3 for row in first)


@pytest.mark.parametrize("reading", list(readings()), ids=lambda r: f"{r.order}-{r.scale}-{r.side}")
def test_readings_undo_what_is_written(reading: BoxEncoding) -> None:
    rng = np.random.default_rng(0)
    box, size = rng.uniform(10, 50, (20, 4)), np.full((20, 2), [640.0, 480.0])
    x, y, w, h = box.T
    written = {
        "xywh": (x, y, w, h),
        "xyxy": (x, y, x + w, y + h),
        "cxcywh": (x + w / 2, y + h / 2, w, h),
        "yxhw": (y, x, h, w),
        "yxyx": (y, x, y + h, x + w),
        "twice": (x, y, w - x, h - y),
        "uncentred": (x - w / 2, y - h / 2, w, h),
    }[reading.order]
    numbers = np.stack(written, axis=1)
    if reading.scale == "normalised":
        numbers /= size[:, [1, 0, 1, 0]] if reading.order.startswith("yx") else np.hstack([size, size])
    np.testing.assert_allclose(reading.read(numbers, size), box)


@pytest.mark.parametrize("kind", ["swap", "shift", "permutation"])
def test_label_maps_are_recovered(kind: str) -> None:
    for seed in range(5):
        world = _world(seed, 8)
        classes = np.arange(1, 9)
        rng = np.random.default_rng(seed)
        written = {"swap": classes[[1, 0, 2, 3, 4, 5, 6, 7]], "shift": classes + 1}.get(kind, rng.permutation(classes))
        world.dt_class = written[world.dt_class - 1]
        tables = scenes.tables_of(world)
        scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
        fault = find_remaps(observe(scene, classes).counts, world.names)
        assert fault is not None
        wanted = {int(w): int(c) for w, c in zip(written, classes, strict=True) if w != c}
        assert fault.classes == wanted
        assert fault.offset == (1 if kind == "shift" else fault.offset)


def test_healthy_and_empty_counts_give_no_remap() -> None:
    tables = scenes.tables_of(_world())
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    assert find_remaps(observe(scene, np.arange(1, 5)).counts, _world().names) is None
    assert find_remaps(ClassCounts(), {}) is None


def _hesitant(seed: int) -> scenes.World:
    """Eight classes of uneven ids; a detector that reports two classes for most objects, and finds one seldom."""
    rng = np.random.default_rng(seed)
    world = scenes.uniform(rng, 60, 8)
    ids = np.array([1, 2, 3, 5, 7, 8, 10, 13])
    world.gt_class = ids[world.gt_class - 1]
    world.names = dict(zip(ids.tolist(), "hgfedcba", strict=True))
    scenes.detect(rng, world, scenes.Quality(second_labels=0.6))
    world.keep_dt((world.dt_class != 7) | (rng.random(len(world.dt_class)) < 0.35))
    return world


NUMBERINGS = {
    "shifted by -1": lambda k, ids: k - 1,
    "sorted class ids, from 0": lambda k, ids: np.searchsorted(ids, k),
    "sorted class ids, from 1": lambda k, ids: np.searchsorted(ids, k) + 1,
    "sorted class names, from 0": lambda k, ids: len(ids) - 1 - np.searchsorted(ids, k),
    "those of the label map": lambda k, ids: 50 + k * 7 % 17,
}


@pytest.mark.parametrize("words", NUMBERINGS)
def test_a_numbering_of_all_classes_is_named_first_for_every_class(words: str) -> None:
    for seed in range(3):
        world = _hesitant(seed)
        ids = np.array(sorted(world.names))
        changed = NUMBERINGS[words](ids, ids)
        world.dt_class = NUMBERINGS[words](world.dt_class, ids)
        label_map = {int(number): world.names[int(k)] for number, k in zip(changed, ids, strict=True)}
        given = label_map if "label map" in words else None
        rows = diagnoses(scenes.tables_of(world), label_map=given).to_pylist()
        first = {row["category_id"]: row for row in rows if row["rank"] == 1}
        wrong = {int(k) for k, number in zip(ids, changed, strict=True) if k != number}
        told = {k for k, row in first.items() if row["cause"] == "label_id_mismatch"}
        assert told == wrong & set(world.gt_class.tolist())
        assert all(words in first[k]["sentence"] and first[k]["d_ap"] is not None for k in told)
        stated = yaml.safe_load(first[min(told)]["remedy_config"])["predict"]["category_map"]
        assert stated == {int(n): int(k) for k, n in zip(ids, changed, strict=True) if k != n}


def test_a_weak_neighbour_is_no_shift_of_all_classes() -> None:
    world = _world(3, 8)
    world.dt_class[world.dt_class == 4] = 5
    tables = scenes.tables_of(world)
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    assert find_remaps(observe(scene, np.arange(1, 9)).counts, world.names) is None


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (range(1, 5), None),
        (range(5), "5 class ids, 0 to 4, and the data set has 4 classes, 1 to 4; not among its ids: 0; one more"),
        ([1, 2, 9], "not among its ids: 9"),
    ],
)
def test_other_numbers_of_classes_are_said(used: Sequence[int], words: str | None) -> None:
    found = miscounted(used, {k: str(k) for k in range(1, 5)}, {})
    assert found == [] if words is None else words in found[0]


def test_ids_that_run_through_gaps_and_a_model_of_other_size_are_said() -> None:
    names = {k: str(k) for k in (1, 2, 4, 7)}
    gaps, outputs = miscounted(range(1, 5), names, {"model": {k: str(k) for k in range(5)}})
    assert gaps.endswith("positions, not ids")
    assert outputs == "the model has 5 classes, the data set 4"


def test_image_ids_by_position_and_by_file_name_are_named() -> None:
    for words, change in (
        ("positions in the list of images, from 0", lambda world: np.searchsorted(world.image, world.dt_image)),
        ("positions in the list of images, from 1", lambda world: np.searchsorted(world.image, world.dt_image) + 1),
        ("the image id plus 500", lambda world: world.dt_image + 500),
    ):
        world = _world()
        world.image += 10_000
        world.gt_image += 10_000
        world.dt_image += 10_000
        world.dt_image = change(world)
        rows = suite.diagnosed(world, DiagnoseSettings()).to_pylist()
        first = [row for row in rows if row["rank"] == 1]
        assert {row["cause"] for row in first} == {"image_id_mismatch"}
        assert all(words in row["sentence"] for row in first), first[0]["sentence"]


MIXED_UP = {
    "shuffled": lambda rng, image: rng.permutation(image),
    "shuffled, and no id is known": lambda rng, image: rng.permutation(image) + 10**6,
}


@pytest.mark.parametrize("way", MIXED_UP)
@pytest.mark.parametrize("quality", [scenes.Quality(), scenes.Quality(clutter=60.0, second_labels=0.5)])
def test_shuffled_image_ids_are_recovered_and_what_they_cost_is_said(way: str, quality: scenes.Quality) -> None:
    rng = np.random.default_rng(2)
    world = scenes.detect(rng, scenes.uniform(rng, 80, 4), quality)
    aps = {k: ap for k, (ap, _) in class_aps(scenes.tables_of(world)).items()}
    world.dt_image = MIXED_UP[way](rng, world.image)[np.searchsorted(world.image, world.dt_image)]
    first = [row for row in suite.diagnosed(world, DiagnoseSettings()).to_pylist() if row["rank"] == 1]
    assert {row["cause"] for row in first} == {"image_id_mismatch"}
    assert {row["category_id"] for row in first} == set(aps)
    for row in first:
        assert row["ap"] + row["d_ap"] == pytest.approx(aps[row["category_id"]], abs=0.05)


def test_detections_that_fit_no_image_say_no_cost() -> None:
    rng = np.random.default_rng(2)
    world = scenes.detect(rng, scenes.uniform(rng, 80, 4), scenes.Quality())
    world.dt_image = rng.permutation(world.image)[np.searchsorted(world.image, world.dt_image)] + 10**6
    world.dt_box = world.dt_box[rng.permutation(len(world.dt_box))]
    first = [row for row in suite.diagnosed(world, DiagnoseSettings()).to_pylist() if row["rank"] == 1]
    assert {(row["cause"], row["d_ap"]) for row in first} == {("image_id_mismatch", None)}


def test_the_sample_of_samples_is_the_sample_of_all() -> None:
    tables = scenes.tables_of(_world())
    scene = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    whole = sample_images(scene.gt, 16)
    halves = [subset(scene, scene.images.id[part]) for part in (slice(0, 25), slice(25, None))]
    parts = np.concatenate([sample_images(half.gt, 16) for half in halves])
    again = subset(scene, parts)
    assert sorted(sample_images(again.gt, 16)) == sorted(whole)


def test_no_pairing_of_nothing() -> None:
    from detray.diagnose.mapping.pairing import Listing, Named

    nothing = np.empty(0, np.int64)
    assert list(candidates(Listing(nothing, [], nothing), Named(nothing, nothing))) == []

"""Formats, image ids and class ids are recovered, and named right."""

import numpy as np
import pytest
import scenes
import suite

from detray.diagnose.label_map import find_remaps
from detray.diagnose.observe import Tally, observe
from detray.diagnose.pairing import candidates, sample_images
from detray.diagnose.reading import Reading, readings
from detray.diagnose.scene import read_scene, sub_scene
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
def test_readings_undo_what_is_written(reading: Reading) -> None:
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
        scene = read_scene(tables["images"], tables["annotations"], tables["predictions"])
        fault = find_remaps(observe(scene, classes).tally)
        assert fault is not None
        wanted = {int(w): int(c) for w, c in zip(written, classes, strict=True) if w != c}
        assert fault.classes == wanted
        assert fault.offset == (1 if kind == "shift" else fault.offset)


def test_healthy_and_empty_counts_give_no_remap() -> None:
    tables = scenes.tables_of(_world())
    scene = read_scene(tables["images"], tables["annotations"], tables["predictions"])
    assert find_remaps(observe(scene, np.arange(1, 5)).tally) is None
    assert find_remaps(Tally()) is None


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


def test_the_sample_of_samples_is_the_sample_of_all() -> None:
    tables = scenes.tables_of(_world())
    scene = read_scene(tables["images"], tables["annotations"], tables["predictions"])
    whole = sample_images(scene.gt, 16)
    halves = [sub_scene(scene, scene.images.id[part]) for part in (slice(0, 25), slice(25, None))]
    parts = np.concatenate([sample_images(half.gt, 16) for half in halves])
    again = sub_scene(scene, parts)
    assert sorted(sample_images(again.gt, 16)) == sorted(whole)


def test_no_pairing_of_nothing() -> None:
    from detray.diagnose.pairing import Listing, Named

    nothing = np.empty(0, np.int64)
    assert list(candidates(Listing(nothing, [], nothing), Named(nothing, nothing))) == []

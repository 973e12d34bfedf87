"""The drawn data set: exact boxes, real pictures, the same for the same seed."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from detray.demo import scene, shapes
from detray.demo.draw import draw_dataset
from detray.errors import DetrayError
from detray.pictures import read_picture


@pytest.mark.parametrize("seed", range(12))
def test_a_box_bounds_the_visible_part_of_its_shape(seed: int) -> None:
    drawn = scene.draw(list(shapes.CLASSES), 144, 112, np.random.default_rng(seed))
    assert len(drawn.names) == len(drawn.boxes) > 2
    for index, box in enumerate(drawn.boxes, 1):
        visible = np.asfortranarray(drawn.front == index, dtype=np.uint8)
        assert (box * scene.FINE == coco_mask.toBbox(coco_mask.encode(visible))).all()


def test_the_picture_shows_the_shape_where_its_mask_is() -> None:
    contrasts = []
    for seed in range(15):
        drawn = scene.draw(["square"], 128, 128, np.random.default_rng(seed))
        inside = cv2.resize((drawn.front == 1).astype(np.uint8), (128, 128), interpolation=cv2.INTER_AREA)
        near = cv2.dilate(inside, np.ones((9, 9), np.uint8)) - cv2.dilate(inside, np.ones((3, 3), np.uint8))
        within = cv2.erode(inside, np.ones((3, 3), np.uint8))
        contrasts.append(np.linalg.norm(drawn.picture[within > 0].mean(axis=0) - drawn.picture[near > 0].mean(axis=0)))
    assert np.median(contrasts) > 40


def test_enough_of_every_shape_stays_visible() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        names = ["square"] * 6
        front = scene.draw(names, 128, 128, rng).front
        counts = np.bincount(front.ravel())[1:] / scene.FINE**2
        assert (counts >= scene.MIN_VISIBLE * 0.95 * 2 * 12**2).all()  # the smallest square has a radius of 12 px


@pytest.mark.parametrize("name", shapes.CLASSES)
def test_area_of_an_outline_is_that_of_its_pixels(name: str) -> None:
    outline = shapes.contours(name, (200.0, 200.0), 150.0, 0.4, 1.1)
    canvas = np.zeros((400, 400), np.uint8)
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32) for points in outline], 1)
    assert shapes.area(outline) == pytest.approx(np.count_nonzero(canvas), rel=0.03)


def test_files_are_coco_and_boxes_lie_in_their_pictures(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = COCO(drawn / "annotations" / "val.json")
    assert [entry["name"] for entry in truth.loadCats(truth.getCatIds())] == list(shapes.CLASSES)
    for image in truth.loadImgs(truth.getImgIds()):
        picture = read_picture(str(drawn / "images" / "val" / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3)
        assert all(96 <= side <= 160 for side in picture.shape[:2])
        for annotation in truth.imgToAnns[image["id"]]:
            x, y, width, height = annotation["bbox"]
            assert x >= 0
            assert y >= 0
            assert width > 3
            assert height > 3
            assert x + width <= image["width"]
            assert y + height <= image["height"]


def test_image_ids_and_file_names_differ_across_splits(drawn: Path) -> None:
    images = [
        image
        for split in ("train", "val", "test")
        for image in json.loads((drawn / "annotations" / f"{split}.json").read_text())["images"]
    ]
    assert len(images) == 64
    assert len({image["id"] for image in images}) == len({image["file_name"] for image in images}) == 64


def test_the_rare_class_is_rare_in_training_and_measurable_elsewhere(tmp_path: Path) -> None:
    counts = {split: files["n_boxes"] for split, files in draw_dataset(tmp_path, train=60, val=30, test=5).items()}
    assert 1 <= counts["train"][shapes.RARE] <= 6
    assert counts["val"][shapes.RARE] >= 4
    assert min(n for name, n in counts["train"].items() if name != shapes.RARE) >= 30


def test_the_same_seed_draws_the_same_files_whatever_the_counts(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "a", seed=1, train=3, val=2, test=0)
    draw_dataset(tmp_path / "b", seed=1, train=3, val=2, test=3)
    draw_dataset(tmp_path / "c", seed=2, train=3, val=2, test=0)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.jpg"))
    assert len(files) == 5
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    assert not any((tmp_path / "a" / file).read_bytes() == (tmp_path / "c" / file).read_bytes() for file in files)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DetrayError, match="choose another --output"):
        draw_dataset(tmp_path / "file", train=1, val=1, test=1)

import json
from dataclasses import replace

import numpy as np
import pytest
from drawn import CLASSES, DETECTOR

from detray.detectors.augmentation.settings import AugmentationSettings
from detray.detectors.data import TrainingData, load
from detray.detectors.retinanet.anchors import make_anchors
from detray.detectors.training.batches import Batches
from detray.settings import convert
from detray.tables import Shard

NAMES = list(CLASSES.values())
ANCHORS = make_anchors(DETECTOR)
SEEDS = [(0, 1, image, showing) for image in range(12) for showing in range(3)]


def batches(data: TrainingData, chosen: object) -> Batches:
    if isinstance(chosen, dict):
        chosen = convert(chosen, AugmentationSettings, "test")
    return Batches(data, NAMES, ANCHORS, chosen)


def scenes(data: TrainingData, chosen: object) -> list:
    made = batches(data, chosen)
    return [made.scene(seed[2], seed)[0] for seed in SEEDS]


def test_without_augmentation_the_pictures_are_as_they_are(data):
    for seed, scene in zip(SEEDS, scenes(data, "none"), strict=True):
        np.testing.assert_array_equal(scene.pixels, data.images[seed[2]])
        np.testing.assert_array_equal(scene.boxes, data.objects(seed[2])[0])
    batch = batches(data, "none")([(0, (0, 1, 0, 0)), (3, (0, 1, 3, 0))])
    assert batch.images.shape == (2, 64, 96, 3)
    assert batch.classes.shape == (2, len(ANCHORS))
    assert batch.boxes.shape == (2, len(ANCHORS), 4)
    assert batch.boxes_lost == 0


@pytest.mark.parametrize("chosen", ["none", {"mosaic": {"p": 1, "cell": 0.8}}, {"copy_paste": {"p": 1}}], ids=str)
def test_equal_seeds_give_equal_scenes_and_leave_the_data_as_it_was(data, chosen):
    before = data.images.copy(), data.boxes.copy()
    first, again = scenes(data, chosen), scenes(data, chosen)
    for one, other in zip(first, again, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(data.images, before[0])
    np.testing.assert_array_equal(data.boxes, before[1])


def test_a_mosaic_shows_four_pictures_and_counts_what_is_lost(data):
    for cell, is_lost in ((0.5, False), (1.0, True)):
        made = batches(data, {"mosaic": {"p": 1, "cell": cell}})
        found = [made.scene(seed[2], seed) for seed in SEEDS]
        assert all(len(scene.labels) + lost == 8 for scene, lost in found)
        assert any(lost for _, lost in found) == is_lost
    some = scenes(data, {"mosaic": {"p": 0.5, "cell": 0.5}})
    assert 5 < sum(len(scene.labels) == 8 for scene in some) < 31


def test_objects_of_the_named_classes_are_pasted(data):
    plain = scenes(data, "none")
    for classes, labels in ((["green"], {1}), (["red"], {0}), ([], {0, 1})):
        found = scenes(data, {"copy_paste": {"p": 1, "objects": 1, "classes": classes}})
        pasted = {int(scene.labels[-1]) for scene in found}
        assert pasted == labels
        assert not any(np.array_equal(a.pixels, b.pixels) for a, b in zip(found, plain, strict=True))
    nothing = replace(data, labels=np.zeros_like(data.labels))
    for a, b in zip(scenes(nothing, {"copy_paste": {"p": 1, "classes": ["green"]}}), plain, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_objects_are_cut_along_their_outlines(shard: Shard):
    """The left half of each square, as a polygon in pixels of the picture as displayed."""
    rows = shard.annotations.to_pylist()
    halves = [
        json.dumps([[x, y, x + w / 2, y, x + w / 2, y + h, x, y + h]])
        for x, y, w, h in ([row[side] for side in ("x", "y", "width", "height")] for row in rows)
    ]
    place = shard.annotations.schema.get_field_index("segmentation")
    outlined = shard.annotations.set_column(place, shard.annotations.schema.field(place), [halves])
    data = load([replace(shard, annotations=outlined)], DETECTOR, CLASSES, run="t")
    assert len(data.outlines) == len(data.boxes)
    made = batches(data, {"copy_paste": {"p": 1, "objects": 1}})
    for row in range(len(data.boxes)):
        cutting = made._cut(int(np.searchsorted(data.offsets, row, side="right")) - 1, row)
        height, width = cutting.mask.shape
        assert cutting.mask[1:-1, 1 : width // 2 - 2].all()
        assert not cutting.mask[:, width // 2 + 2 :].any()
        assert height > 10

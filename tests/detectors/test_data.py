from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from drawn import CLASSES, DETECTOR, SIZE, boxes, draw

from detray.detectors import data as module
from detray.detectors.data import CROWD, load
from detray.errors import DetrayError


def test_pictures_and_boxes_are_scaled_together(shard):
    data = load([shard], DETECTOR, CLASSES, run="t")
    assert data.images.shape == (12, 64, 96, 3)
    assert data.images.dtype == np.uint8
    np.testing.assert_array_equal(data.sizes, [SIZE] * 12)
    for image in range(12):
        corners, labels = data.objects(image)
        assert sorted(labels) == [0, 1]
        for (x, y, right, bottom), label in zip(corners, labels, strict=True):
            middle = data.images[image, int(y + bottom) // 2, int(x + right) // 2]
            assert middle.argmax() == label  # the red one is red, the green one green
            assert data.images[image, int(y) + 1, int(x) + 1].argmax() == label
    first = shard.annotations.slice(0, 1).to_pylist()[0]
    expected = np.array([first["x"], first["y"], first["x"] + first["width"], first["y"] + first["height"]]) / 1.5
    np.testing.assert_allclose(data.objects(0)[0][0], expected, rtol=1e-6)


def test_the_cut_into_shards_does_not_matter(shard):
    whole = load([shard], DETECTOR, CLASSES, run="t")
    halves = [replace(shard, images=shard.images.slice(start, 6)) for start in (6, 0)]
    halves[1] = replace(halves[1], annotations=shard.annotations.slice(0, 0))
    cut = load(halves, DETECTOR, CLASSES, run="t")
    np.testing.assert_array_equal(whole.images, cut.images)
    np.testing.assert_array_equal(whole.boxes, cut.boxes)
    np.testing.assert_array_equal(whole.offsets, cut.offsets)


def test_boxes_that_teach_nothing_are_counted_by_reason(shard):
    nan = None
    rows = [
        (1, 3, 10, 10, 20, 20),
        (1, 3, 10, 10, 0, 20),
        (1, 3, 10, 10, -5, 20),
        (1, 3, 500, 10, 20, 20),
        (1, 3, nan, 10, 20, 20),
        (1, 99, 10, 10, 20, 20),
        (77, 3, 10, 10, 20, 20),
        (2, 7, -10, -10, 40, 40),
        (2, 3, 5, 5, 20, 20, True),
    ]
    data = load([replace(shard, annotations=boxes(rows))], DETECTOR, CLASSES, run="t")
    assert data.boxes_left_out == {
        "no picture": 1,
        "unknown class": 1,
        "not finite": 1,
        "no area in the picture": 3,
    }
    np.testing.assert_allclose(data.objects(1)[0][0], [0, 0, 20, 20])  # cut at the edge
    assert data.objects(1)[1].tolist() == [1, CROWD]
    assert len(data.boxes) == 3


def test_broken_pictures_are_left_out_with_their_reason(tmp_path):
    shard = draw(tmp_path, 4)
    paths = shard.images["path"].to_pylist()
    whole = draw(tmp_path / "whole", 4)
    (tmp_path / "train-002.png").write_bytes((tmp_path / "train-002.png").read_bytes()[:200])
    (tmp_path / "train-003.png").unlink()
    data = load([shard], DETECTOR, CLASSES, run="t")
    rows = data.quarantine.to_pylist()
    assert [(row["source_file"], row["reason"]) for row in rows] == [(paths[1], "truncated"), (paths[2], "missing")]
    assert data.image_ids.tolist() == [1, 4]
    expected = load([whole], DETECTOR, CLASSES, run="t")
    np.testing.assert_array_equal(data.images, expected.images[[0, 3]])
    np.testing.assert_array_equal(data.objects(1)[0], expected.objects(3)[0])
    assert data.boxes_left_out["no picture"] == 4


def test_many_pictures_are_mapped_not_held(shard, monkeypatch):
    held = load([shard], DETECTOR, CLASSES, run="t")
    monkeypatch.setattr(module, "MEMORY_BYTES", 1000)
    mapped = load([shard], DETECTOR, CLASSES, run="t")
    assert isinstance(mapped.images, np.memmap)
    np.testing.assert_array_equal(held.images, mapped.images)


def test_pictures_that_lead_nowhere_are_left_out_up_to_a_share(shard):
    paths = [None if number < 2 else path for number, path in enumerate(shard.images["path"].to_pylist())]
    place = shard.images.column_names.index("path")
    linked = replace(shard, images=shard.images.set_column(place, "path", pa.array(paths, pa.string())))
    data = load([linked], DETECTOR, CLASSES, run="t", max_unreadable=0.1)
    rows = data.quarantine.to_pylist()
    assert [(row["image_id"], row["source_file"], row["reason"]) for row in rows] == [
        (1, "train-001.png", "outside_root"),
        (2, "train-002.png", "outside_root"),
    ]
    with pytest.raises(DetrayError, match=r"2 of 12 pictures .* all of them outside root, the first train-001\.png"):
        load([linked], DETECTOR, CLASSES, run="t", max_unreadable=0.01)


def test_of_images_with_one_id_the_first_counts(shard):
    doubled = replace(shard, images=pa.concat_tables([shard.images, shard.images]))
    assert load([doubled], DETECTOR, CLASSES, run="t").image_ids.tolist() == list(range(1, 13))

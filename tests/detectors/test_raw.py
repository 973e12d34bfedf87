"""Raw outputs are decoded as those do who define them: Keras, TFLite's own operation, published anchors."""

from pathlib import Path

import numpy as np
import pytest
import tflite_models as lite

from detray.detectors.raw.anchors import mediapipe_anchors, read_anchors, ssd_anchors
from detray.detectors.raw.decode import MAX_LOG_SIZE, SSD_VARIANCE, from_deltas, from_offsets, sigmoid
from detray.detectors.raw.select import MAX_CANDIDATES, select
from detray.detectors.raw.yolo import split_yolo
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import NmsSettings, PredictSettings
from detray.detectors.tflite.program import Program
from detray.errors import UsageError

RANDOM = np.random.default_rng(0)
ANCHORS = np.concatenate([RANDOM.uniform(0.2, 0.8, (50, 2)), RANDOM.uniform(0.05, 0.4, (50, 2))], axis=1)


def test_deltas_are_decoded_as_keras_does() -> None:
    _, keras = tensorflow()
    deltas = RANDOM.normal(0, 1.5, (50, 4))
    expected = keras.utils.bounding_boxes.decode_deltas_to_boxes(
        ANCHORS.astype(np.float32),
        deltas.astype(np.float32),
        anchor_format="center_xywh",
        box_format="xyxy",
        encoded_format="center_xywh",
        variance=SSD_VARIANCE,
    )
    np.testing.assert_allclose(from_deltas(deltas, ANCHORS, SSD_VARIANCE), expected, atol=1e-5)
    huge = from_deltas(np.full((50, 4), 1e4), ANCHORS)
    np.testing.assert_allclose(huge[:, 2:] - huge[:, :2], ANCHORS[:, 2:] * np.exp(MAX_LOG_SIZE))


def test_ssd_is_decoded_as_tflite_does() -> None:
    """A model that ends before the operation, and the same with it."""
    anchors = ssd_anchors(lite.HEIGHT, lite.WIDTH)
    picture = np.full((1, lite.HEIGHT, lite.WIDTH, 3), -1, np.float32)
    picture[0, 10:30, 20:50, 0] = picture[0, 35:60, 40:90, 1] = 1
    raw, whole = (Program(lite.convert(model(anchors)), "x") for model in (lite.encoded, lite.postprocess))
    deltas, scores = (values[0] for values in sorted(raw.run(picture).values(), key=lambda values: -values.shape[2]))
    corners = from_deltas(deltas[:, [1, 0, 3, 2]], anchors, SSD_VARIANCE)
    found = select(corners, corners, scores[:, 1:], PredictSettings())
    by_name = {tensor.name: tensor.index for tensor in whole.outputs}
    made = whole.run(picture)
    count, values, classes, boxes = (made[by_name[f"PartitionedCall:{number}"]] for number in range(4))
    assert count[0] == len(found.scores) == 2
    np.testing.assert_allclose(found.boxes[:, [1, 0, 3, 2]], boxes[0, :2], atol=1e-5)
    np.testing.assert_allclose(found.scores, values[0, :2], rtol=1e-6)
    assert found.classes.tolist() == classes[0, :2].tolist() == [0, 1]


def test_published_anchors() -> None:
    """The numbers of anchors that published models have; places and sizes of some, by hand."""
    assert [len(ssd_anchors(side, side)) for side in (300, 320)] == [1917, 2034]
    first, last = ssd_anchors(300, 300)[:3], ssd_anchors(300, 300)[-1]
    np.testing.assert_allclose(first[:, :2], 0.5 / 19)
    np.testing.assert_allclose(first[:, 2:], [[0.1, 0.1], [0.2 * 2**0.5, 0.2 / 2**0.5], [0.2 / 2**0.5, 0.2 * 2**0.5]])
    np.testing.assert_allclose(last, [0.5, 0.5, 0.95**0.5, 0.95**0.5])
    short, full = mediapipe_anchors(896), mediapipe_anchors(2304)
    assert short is not None
    assert full is not None
    np.testing.assert_allclose(short[[0, 1, 2, 512]][:, :2], np.array([[8, 8], [8, 8], [24, 8], [16, 16]]) / 256)
    np.testing.assert_allclose(full[1, :2], [1.5 / 48, 0.5 / 48])
    assert mediapipe_anchors(897) is None
    boxes = from_offsets(np.array([[12.8, 0, 64, 32]]), np.array([[0.5, 0.5, 1, 1]]), 128, 128)
    np.testing.assert_allclose(boxes, [[0.35, 0.375, 0.85, 0.625]])


@pytest.mark.parametrize("turned", [False, True])
def test_anchors_from_files(tmp_path: Path, turned: bool) -> None:
    stored = ANCHORS[:, [1, 0, 3, 2]]
    written = stored.T if turned else stored
    np.save(tmp_path / "anchors.npy", written)
    np.savetxt(tmp_path / "anchors.txt", written, delimiter=", ")
    for name in ("anchors.npy", "anchors.txt"):
        np.testing.assert_allclose(read_anchors(str(tmp_path / name)), ANCHORS)


def test_files_that_hold_no_anchors(tmp_path: Path) -> None:
    np.save(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "flat.npy", ANCHORS.ravel())
    np.save(tmp_path / "empty.npy", np.zeros((9, 4)))
    (tmp_path / "words.txt").write_text("no numbers")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("pickled.npy", "flat.npy", "empty.npy", "words.txt", "bytes.txt", "absent.npy"):
        with pytest.raises(UsageError, match=name):
            read_anchors(str(tmp_path / name))


BOXES = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]], np.float64)
SCORES = np.array([[0.9, 0.3], [0.8, 0.85], [0.05, 0.2]])


@pytest.mark.parametrize(
    ("mode", "ends", "expected"),
    [
        ("class", False, [(0, 0.9), (1, 0.85), (1, 0.2)]),
        ("across", False, [(0, 0.9), (1, 0.2)]),
        ("none", False, [(0, 0.9), (1, 0.85), (0, 0.8), (1, 0.3), (1, 0.2)]),
        ("class", True, [(0, 0.9), (1, 0.85), (0, 0.8), (1, 0.3), (1, 0.2)]),
    ],
)
def test_what_stays(mode: str, ends: bool, expected: list[tuple[int, float]]) -> None:
    predict = PredictSettings(score_threshold=0.1, nms=NmsSettings(mode=mode), max_detections=5)  # type: ignore[arg-type]
    found = select(BOXES, BOXES, SCORES, predict, ends=ends)
    assert list(zip(found.classes.tolist(), found.scores.tolist(), strict=True)) == expected


def test_of_very_many_the_best_are_looked_at() -> None:
    corners = np.tile([0.0, 0.0, 1.0, 1.0], (2 * MAX_CANDIDATES, 1))
    scores = np.linspace(0.2, 0.9, len(corners))[:, None]
    found = select(corners, corners, scores, PredictSettings())
    assert found.scores.tolist() == [0.9]


def test_yolo_columns_and_rows() -> None:
    output = RANDOM.uniform(size=(6, 20))
    boxes, scores = split_yolo(output, None)
    np.testing.assert_array_equal(boxes, output[:4].T)
    np.testing.assert_array_equal(scores, output[4:].T)
    boxes, scores = split_yolo(output.T, None)  # the fifth is whether there is an object
    np.testing.assert_array_equal(boxes, output[:4].T)
    np.testing.assert_array_equal(scores, output[5:].T * output[4][:, None])
    few = RANDOM.uniform(size=(84, 21))  # fewer anchors than classes
    assert split_yolo(few, 80)[1].shape == (21, 80)


def test_sigmoid_of_any_number() -> None:
    np.testing.assert_allclose(sigmoid(np.array([-1e9, -3.0, 0, 2, 1e9])), [0, 0.047425873, 0.5, 0.880797078, 1])

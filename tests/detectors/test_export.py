"""A RetinaNet as a SavedModel with the signature of the Object Detection API."""

from pathlib import Path

import numpy as np
import pytest
from drawn import DETECTOR

from detray.detectors.catalogue import detector_kind
from detray.detectors.detector import Detector
from detray.detectors.retinanet.export import saved_model
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.formats.label_map import read_label_map

PREDICT = PredictSettings(batch_size=2, score_threshold=0.0, max_detections=7)
NAMES = {3: "red", 7: 'a "green" thing\n'}


def _model(classes: dict[int, str]) -> RetinaNet:
    return RetinaNet(build_network(DETECTOR, len(classes), seed=3), classes, DETECTOR, PREDICT, (), 0)


@pytest.fixture(scope="module")
def model() -> RetinaNet:
    return _model(NAMES)


@pytest.fixture(scope="module")
def exported(model: RetinaNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(model, tmp_path_factory.mktemp("export"))


def _written(model: RetinaNet, folder: Path) -> Path:
    for name, data in saved_model(model).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def loaded(exported: Path) -> Detector:
    settings = DetectorSettings(kind="saved_model", path=str(exported / "saved_model"))
    return detector_kind(settings).load(settings, settings.path, PREDICT, trust_model=False)


@pytest.mark.parametrize("size", [(64, 96), (200, 300), (640, 480), (97, 96)], ids=str)
def test_it_detects_the_same_through_the_kind_saved_model(
    model: RetinaNet, loaded: Detector, size: tuple[int, int]
) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    ours, theirs = (one.detect([one.prepare(picture)]) for one in (model, loaded))
    np.testing.assert_array_equal(theirs.category_id, ours.category_id)
    np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-6)
    np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=1e-2)


def test_pictures_that_are_enlarged_differ_by_rounding_only(model: RetinaNet, loaded: Detector) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (50, 300, 3), np.uint8)
    ours, theirs = (one.detect([one.prepare(picture)]) for one in (model, loaded))
    np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-3)


def test_the_signature_is_that_of_the_api(exported: Path) -> None:
    tf, _ = tensorflow()
    serve = tf.saved_model.load(str(exported / "saved_model")).signatures["serving_default"]
    ((_, taken),) = serve.structured_input_signature[1].items()
    assert (taken.name, taken.dtype, taken.shape.as_list()) == ("input_tensor", tf.uint8, [1, None, None, 3])
    anchors = 3 * (8 * 12 + 4 * 6 + 2 * 3)
    assert {name: (spec.dtype, spec.shape.as_list()) for name, spec in serve.structured_outputs.items()} == {
        "detection_boxes": (tf.float32, [1, 7, 4]),
        "detection_classes": (tf.float32, [1, 7]),
        "detection_scores": (tf.float32, [1, 7]),
        "num_detections": (tf.float32, [1]),
        "raw_detection_boxes": (tf.float32, [1, anchors, 4]),
        "raw_detection_scores": (tf.float32, [1, anchors, 8]),
    }
    found = serve(input_tensor=np.zeros((1, 64, 96, 3), np.uint8))
    raw = found["raw_detection_scores"].numpy()[0]
    assert raw[:, [3, 7]].max() == pytest.approx(found["detection_scores"].numpy().max())
    assert not np.delete(raw, [3, 7], axis=1).any()


def test_a_label_map_stands_beside_it(exported: Path, tmp_path: Path) -> None:
    found = read_label_map(str(exported / "label_map.pbtxt"))
    assert (found.names, found.problems) == (NAMES, ())
    other = saved_model(_model({0: "red", 1: "green"}))
    (tmp_path / "map.pbtxt").write_bytes(other["label_map.pbtxt"])
    assert read_label_map(str(tmp_path / "map.pbtxt")).names == {1: "red", 2: "green"}, "the API counts from 1"

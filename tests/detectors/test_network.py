import numpy as np
import pytest
from drawn import DETECTOR

from detray.detectors.retinanet.anchors import make_anchors
from detray.detectors.retinanet.decode import make_decoder
from detray.detectors.retinanet.group_norm import FastGroupNormalization
from detray.detectors.retinanet.network import build_network
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import NmsSettings, PredictSettings

tf, keras = tensorflow()


@pytest.fixture(scope="module")
def network():
    return build_network(DETECTOR, 2, seed=1)


def test_outputs_stand_in_the_order_of_the_anchors(network):
    """A bright spot changes most the outputs of the anchors that are centred on it."""
    dark = np.zeros((1, 64, 96, 3), np.uint8)
    spot = dark.copy()
    spot[0, 40:48, 72:80] = 255
    moved = np.abs(network(spot)["boxes"].numpy() - network(dark)["boxes"].numpy())[0].sum(axis=1)
    finest = slice(0, 3 * 8 * 12)  # of the coarse levels one cell sees nearly everything
    anchors = make_anchors(DETECTOR)[finest]
    centre = (anchors[moved[finest].argmax(), :2] + anchors[moved[finest].argmax(), 2:]) / 2
    assert np.abs(centre - [76, 44]).max() <= 12


def test_every_class_starts_near_the_prior(network):
    image = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3), np.uint8)
    scores = 1 / (1 + np.exp(-network(image)["logits"].numpy()))
    assert scores.shape == (2, 3 * (96 + 24 + 6), 2)
    assert scores.max() < 0.1


def test_the_portable_network_gives_the_same(network):
    portable = build_network(DETECTOR, 2, portable=True)
    portable.set_weights(network.get_weights())
    image = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3), np.uint8)
    for name in ("logits", "boxes"):
        np.testing.assert_allclose(network(image)[name], portable(image)[name], atol=1e-4)


def test_equal_seeds_give_equal_weights(network):
    again, other = build_network(DETECTOR, 2, seed=1), build_network(DETECTOR, 2, seed=2)
    first = network.get_layer("backbone_3_1_down").get_weights()[0]
    np.testing.assert_array_equal(first, again.get_layer("backbone_3_1_down").get_weights()[0])
    assert not np.array_equal(first, other.get_layer("backbone_3_1_down").get_weights()[0])


def test_fast_group_normalisation_is_that_of_keras():
    features = tf.random.stateless_normal((3, 5, 7, 16), (1, 2)) * 4 + 3
    fast, slow = FastGroupNormalization(4), keras.layers.GroupNormalization(4)
    slow.build(features.shape)
    fast.build(features.shape)
    weights = [np.linspace(0.5, 2, 16), np.linspace(-1, 1, 16)]
    slow.set_weights(weights)
    fast.set_weights(weights)
    np.testing.assert_allclose(fast(features), slow(features), atol=1e-5)


def _decode(logits, boxes, max_detections=4, **nms):
    predict = PredictSettings(score_threshold=0.05, max_detections=max_detections, nms=NmsSettings(**nms))
    decode = make_decoder(DETECTOR, predict)
    return [part.numpy()[0] for part in decode(tf.constant(logits[None]), tf.constant(boxes[None]))]


def test_decoding_gives_the_anchor_where_nothing_is_shifted():
    anchors = make_anchors(DETECTOR)
    logits = np.full((len(anchors), 2), -9, np.float32)
    logits[150, 1] = 3
    boxes, scores, classes, count = _decode(logits, np.zeros((len(anchors), 4), np.float32))
    assert count == 1
    assert classes[0] == 1
    assert scores[0] == pytest.approx(1 / (1 + np.exp(-3)))
    xmin, ymin, xmax, ymax = np.clip(anchors[150] / [96, 64, 96, 64], 0, 1)
    np.testing.assert_allclose(boxes[0], [ymin, xmin, ymax, xmax], atol=1e-6)


def test_doubles_go_within_a_class_only():
    anchors = make_anchors(DETECTOR)
    logits = np.full((len(anchors), 2), -9, np.float32)
    logits[150] = [2, 3]  # one place, both classes
    logits[151, 1] = 1  # the next octave in the same cell
    _, scores, classes, count = _decode(logits, np.zeros((len(anchors), 4), np.float32))
    assert count == 2
    assert classes[:2].tolist() == [1, 0]
    assert scores[0] > scores[1]


@pytest.mark.parametrize(
    ("nms", "found"),
    [
        ({"mode": "across"}, [(150, 1), (10, 0)]),
        ({"mode": "none"}, [(150, 1), (150, 0), (151, 1), (10, 0)]),
        ({"iou": 0.7}, [(150, 1), (150, 0), (151, 1), (10, 0)]),  # the octaves overlap by .63
    ],
)
def test_what_suppresses_what_can_be_said(nms, found):
    anchors = make_anchors(DETECTOR)
    logits = np.full((len(anchors), 2), -9, np.float32)
    logits[150] = [2, 3]
    logits[151, 1] = 1
    logits[10, 0] = 0
    boxes, scores, classes, count = _decode(logits, np.zeros((len(anchors), 4), np.float32), **nms)
    assert count == len(found)
    assert classes[:count].tolist() == [k for _, k in found]
    np.testing.assert_allclose(scores[:count], [1 / (1 + np.exp(-logits[row, k])) for row, k in found], rtol=1e-6)
    corners = np.clip(anchors[[row for row, _ in found]] / [96, 64, 96, 64], 0, 1)
    np.testing.assert_allclose(boxes[:count], corners[:, [1, 0, 3, 2]], atol=1e-6)


def test_wild_outputs_stay_finite_and_in_the_picture():
    anchors = make_anchors(DETECTOR)
    logits = np.full((len(anchors), 2), 5, np.float32)
    boxes, _, _, count = _decode(logits, np.full((len(anchors), 4), 1e4, np.float32))
    assert count > 0
    assert np.isfinite(boxes).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 1


def test_at_most_max_detections_are_kept_the_best_first():
    anchors = make_anchors(DETECTOR)
    logits = np.linspace(-2, 2, len(anchors) * 2, dtype=np.float32).reshape(-1, 2)
    _, scores, _, count = _decode(logits, np.zeros((len(anchors), 4), np.float32), max_detections=3)
    assert count == 3
    assert (np.diff(scores) <= 0).all()

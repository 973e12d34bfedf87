import numpy as np
import pytest
from drawn import CLASSES, DETECTOR, eagerly
from msgspec.structs import replace

from detray.boxes import from_corners, paired_iou
from detray.detectors.data import TrainingData
from detray.detectors.retinanet.freezing import UNITS, count_trainable, freeze
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.loop import EpochResult, train
from detray.errors import DetrayError, UsageError

SETTINGS = TrainSettings(epochs=60, batch_size=6, learning_rate=1e-2, augmentation="none")
BRIEF = replace(SETTINGS, epochs=1, batch_size=2)


@pytest.fixture(scope="module")
def some(data: TrainingData) -> TrainingData:
    """Four pictures: two steps an epoch."""
    end = data.offsets[4]
    return TrainingData(
        data.images[:4], data.image_ids[:4], data.sizes[:4], data.boxes[:end], data.labels[:end], data.offsets[:5],
        data.quarantine, {},
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(data: TrainingData) -> tuple[RetinaNet, list[EpochResult]]:
    results: list[EpochResult] = []
    model = train(data, data, DETECTOR, SETTINGS, CLASSES, on_epoch=lambda result: results.append(result) or True)
    return model, results


def test_the_network_learns_the_shapes(trained, data):
    """In a few seconds it finds both squares of every picture, in pixels of the picture as displayed."""
    _, results = trained
    assert results[-1].loss < results[0].loss / 4
    found = results[-1].detections
    best = found.filter(np.array(found["score"]) > 0.5).to_pylist()
    assert 22 <= len(best) <= 26  # of 24
    overlaps = []
    for row in best:
        corners, labels = data.objects(row["image_id"] - 1)
        truth = from_corners(corners[labels == list(CLASSES).index(row["category_id"])].astype(np.float64) * 1.5)
        overlaps.append(paired_iou(np.array([[row["x"], row["y"], row["width"], row["height"]]]), truth)[0])
    assert np.median(overlaps) > 0.7
    assert min(overlaps) > 0.3


def test_epochs_are_reported_as_they_end(trained):
    _, results = trained
    assert [result.epoch for result in results] == list(range(1, 61))
    first, last = results[0], results[-1]
    assert first.loss == pytest.approx(first.class_loss + first.box_loss)
    assert last.learning_rate < first.learning_rate
    assert first.boxes_lost == 0
    assert set(last.detections.column_names) == {
        "image_id", "category_id", "x", "y", "width", "height", "score", "rank",
    }  # fmt: skip
    ranks = np.array(last.detections.filter(np.array(last.detections["image_id"]) == 5)["rank"])
    np.testing.assert_array_equal(ranks, np.arange(1, len(ranks) + 1))


def _weights(some: TrainingData, settings: TrainSettings = BRIEF, detector: DetectorSettings = DETECTOR) -> np.ndarray:
    network = train(some, None, detector, settings, CLASSES).network
    return np.concatenate([values.ravel() for values in network.get_weights()])


def test_the_same_settings_give_the_same_model(some, eager):
    settings = replace(BRIEF, augmentation="default", oversample={"green": 1.5})
    np.testing.assert_array_equal(_weights(some, settings), _weights(some, settings))


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"batch_size": 1},
        {"seed": 1},
        {"optimizer": "sgd"},
        {"learning_rate": 2e-2},
        {"weight_decay": 0.5},
        {"schedule": "constant"},
        {"focal_alpha": 0.5},
        {"focal_gamma": 1.0},
        {"class_weights": {"green": 3.0}},
        {"label_smoothing": 0.1},
        {"box_loss_weight": 2.0},
        {"freeze_units": 1},
        {"freeze_norm": True},
        {"oversample": {"green": 2.0}},
        {"augmentation": "default"},
        {"augmentation": "strong"},
    ],
    ids=str,
)
def test_every_setting_reaches_the_training(some, eager, change, reference):
    assert not np.array_equal(_weights(some, replace(BRIEF, **change)), reference)


@pytest.fixture(scope="module")
def reference(some: TrainingData) -> np.ndarray:
    with eagerly():
        return _weights(some)


def test_every_setting_is_among_those(request):
    changed = {
        name
        for mark in test_every_setting_reaches_the_training.pytestmark
        for change in mark.args[1]
        for name in change
    }
    assert changed == set(TrainSettings.__struct_fields__)


def test_frozen_units_keep_their_weights(some, eager):
    network = train(some, None, DETECTOR, replace(BRIEF, freeze_units=2), CLASSES).network
    before = build_network(DETECTOR, len(CLASSES), BRIEF.seed)
    for layer, start in zip(network.layers, before.layers, strict=True):
        if layer.weights:
            is_same = all(map(np.array_equal, layer.get_weights(), start.get_weights()))
            assert is_same == layer.name.startswith(("backbone_3_", "backbone_4_")), layer.name


def test_units_freeze_from_the_stem_up_and_outputs_never():
    counts = []
    for units in range(len(UNITS) + 1):
        network = build_network(DETECTOR, 2)
        names = freeze(network, units, norm=False)
        assert all(name.startswith(tuple(f"{unit}_" for unit in UNITS[:units])) for name in names)
        counts.append(count_trainable(network))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == sum(layer.count_params() for layer in network.layers if layer.name.startswith("output_"))
    names = freeze(network, 0, norm=True)
    assert names
    assert all("_norm" in name for name in names)


def test_more_units_than_there_are_is_refused():
    with pytest.raises(UsageError, match="6 but the detector has 5 units"):
        freeze(build_network(DETECTOR, 2), 6, norm=False)


def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(some, eager, tmp_path):
    settings = replace(BRIEF, epochs=3)
    whole = train(some, None, DETECTOR, settings, CLASSES).network.get_weights()

    def stop_in_the_third(result: EpochResult) -> bool:
        if result.epoch == 3:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        train(some, None, DETECTOR, settings, CLASSES, on_epoch=stop_in_the_third, checkpoint=tmp_path)
    seen = []
    resumed = train(
        some, None, DETECTOR, settings, CLASSES, on_epoch=lambda r: seen.append(r.epoch) or True, checkpoint=tmp_path
    )
    assert seen == [3]
    for one, other in zip(whole, resumed.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(DetrayError, match="another configuration"):
        train(some, None, DETECTOR, replace(settings, seed=5), CLASSES, checkpoint=tmp_path)
    (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(DetrayError, match="not readable as a checkpoint"):
        train(some, None, DETECTOR, settings, CLASSES, checkpoint=tmp_path)


def test_the_caller_can_stop_it(some, eager):
    seen = []
    train(some, None, DETECTOR, replace(BRIEF, epochs=5), CLASSES, on_epoch=lambda r: seen.append(r.epoch))
    assert seen == [1]


def test_a_loss_that_is_not_finite_names_the_mend(some, eager):
    with pytest.raises(DetrayError, match=r"lower train\.learning_rate"):
        train(some, None, DETECTOR, replace(BRIEF, class_weights={"green": float("inf")}), CLASSES)


@pytest.mark.parametrize("change", [{"oversample": {"blue": 2.0}}, {"class_weights": {"blue": 2.0}}])
def test_a_class_that_is_not_there_is_refused(some, change):
    with pytest.raises(UsageError, match="blue but the classes are red, green"):
        train(some, None, DETECTOR, replace(BRIEF, **change), CLASSES)


def test_no_picture_is_refused(data):
    nothing = TrainingData(
        data.images[:0], data.image_ids[:0], data.sizes[:0], data.boxes[:0], data.labels[:0],
        np.zeros(1, np.int64), data.quarantine, {},
    )  # fmt: skip
    with pytest.raises(DetrayError, match="no picture to train on"):
        train(nothing, None, DETECTOR, BRIEF, CLASSES)


def test_the_backbone_can_start_from_another_models(some, eager, trained, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(trained[0].files()["model.keras"])
    frozen = replace(BRIEF, freeze_units=3)
    model = train(some, None, replace(DETECTOR, weights=str(path)), frozen, CLASSES)
    for name in ("backbone_3_1_down", "backbone_5_5_conv"):
        np.testing.assert_array_equal(
            model.network.get_layer(name).get_weights()[0], trained[0].network.get_layer(name).get_weights()[0]
        )
    with pytest.raises(UsageError, match="check the path"):
        train(some, None, replace(DETECTOR, weights=str(tmp_path / "none.keras")), BRIEF, CLASSES)

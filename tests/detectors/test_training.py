import numpy as np
import pytest
from drawn import CLASSES, DETECTOR
from msgspec.structs import replace
from tiny import eagerly

from detray.boxes import from_corners, paired_iou
from detray.detectors.augmentation.settings import AugmentationSettings, CopyPaste, Flip
from detray.detectors.data import TrainingData
from detray.detectors.retinanet.anchors import make_anchors
from detray.detectors.retinanet.freezing import UNITS, count_trainable, freeze
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.loop import EpochResult, train
from detray.detectors.training.step import computing_in, make_optimizer, make_step
from detray.errors import DetrayError, UsageError
from detray.flow.workspace import Workspace
from detray.store import Store

SETTINGS = TrainSettings(epochs=60, batch_size=6, learning_rate=1e-2, augmentation="none")
BRIEF = replace(SETTINGS, epochs=1, batch_size=2)


def workspace(place: object) -> Workspace:
    return Workspace(Store(str(place)), ())


@pytest.fixture(scope="module")
def some(data: TrainingData) -> TrainingData:
    """Four pictures, two steps an epoch; the first has no green square."""
    end = data.offsets[4]
    labels = data.labels[:end].copy()
    labels[: data.offsets[1]] = 0
    return TrainingData(
        data.images[:4], data.image_ids[:4], data.sizes[:4], data.boxes[:end], labels, data.offsets[:5],
        data.quarantine, {},
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(data: TrainingData) -> tuple[RetinaNet, list[EpochResult]]:
    results: list[EpochResult] = []
    learned = train(data, data, DETECTOR, SETTINGS, CLASSES, on_epoch=results.append)
    assert (learned.epoch, learned.epochs) == (60, 60)
    return learned.model, results


CHOOSING = {"keep", "best_by", "focus", "patience", "export"}
"""Settings that choose an epoch, or a form of the model, and leave each epoch as it is."""


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
    return _flat(train(some, None, detector, settings, CLASSES).model)


def _flat(model: RetinaNet) -> np.ndarray:
    return np.concatenate([values.ravel() for values in model.network.get_weights()])


def test_the_same_settings_give_the_same_model(some, eager):
    settings = replace(BRIEF, augmentation="default", oversample={"green": 1.5})
    np.testing.assert_array_equal(_weights(some, settings), _weights(some, settings))


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"batch_size": 1},
        {"seed": 1},
        {"accumulate": 2},
        {"precision": "mixed_bfloat16"},
        {"optimizer": "adam", "weight_decay": 0.0},
        {"optimizer": "sgd"},
        {"optimizer": "rmsprop"},
        {"learning_rate": 2e-2},
        {"weight_decay": 0.5},
        {"l2": 0.1},
        {"dropout": 0.5},
        {"clip_norm": 0.1},
        {"schedule": "constant"},
        {"schedule": "step"},
        {"schedule": "cyclical"},
        {"schedule": "cyclical", "cycles": 2},
        {"schedule": "one_cycle"},
        {"warmup_steps": 1},
        {"warmup_epochs": 0.5},
        {"focal_alpha": 0.5},
        {"focal_gamma": 1.0},
        {"class_weights": {"green": 3.0}},
        {"label_smoothing": 0.1},
        {"box_loss_weight": 2.0},
        {"freeze_units": 1},
        {"freeze_norm": True},
        {"backbone_rate": 0.5},
        {"oversample": {"green": 2.0}},
        {"undersample": {"green": 0.5, "red": 0.5}},
        {"repeat_factor": 1.0},
        {"augmentation": AugmentationSettings(flip=Flip(p=1.0))},
        {"augmentation": AugmentationSettings(flip=Flip(p=1.0, direction="vertical"))},
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
    assert changed | CHOOSING == set(TrainSettings.__struct_fields__)


def _stay(**changes: object) -> TrainSettings:
    """Rates that do not depend on the number of epochs."""
    return replace(BRIEF, **{"schedule": "constant", "warmup_steps": 0, "epochs": 3} | changes)


@pytest.mark.parametrize(
    ("changes", "scores", "kept", "epochs"),
    [
        ({}, [0.1, 0.9, 0.3], 2, 3),
        ({"keep": "last"}, [0.1, 0.9, 0.3], 3, 3),
        ({}, [0.9, 0.9, 0.3], 1, 3),
        ({}, [None, None, None], 3, 3),
        ({"patience": 1}, [0.9, 0.1, 1.0], 1, 2),
        ({"patience": 1, "keep": "last"}, [0.9, 0.1, 1.0], 2, 2),
        ({"patience": 2}, [0.9, 0.1, 1.0], 3, 3),
        ({"patience": 1}, [None, None, None], 3, 3),
    ],
    ids=str,
)
def test_the_best_epoch_is_kept(some, eager, after, changes, scores, kept, epochs):
    learned = train(some, None, DETECTOR, _stay(**changes), CLASSES, on_epoch=lambda result: scores[result.epoch - 1])
    assert (learned.epoch, learned.epochs) == (kept, epochs)
    np.testing.assert_array_equal(_flat(learned.model), after[kept])


@pytest.fixture(scope="module")
def after(some: TrainingData) -> dict[int, np.ndarray]:
    """Weights after so many epochs."""
    with eagerly():
        return {n: _flat(train(some, None, DETECTOR, _stay(epochs=n), CLASSES).model) for n in (1, 2, 3)}


def test_a_training_that_was_cut_off_knows_its_best_epoch(some, eager, after, tmp_path):
    scores = {1: 0.2, 2: 0.9, 3: 0.1}

    def judge(result: EpochResult, until: int) -> float:
        if result.epoch > until:
            raise KeyboardInterrupt
        return scores[result.epoch]

    for until in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            train(
                some, None, DETECTOR, _stay(), CLASSES,
                on_epoch=lambda result, until=until: judge(result, until), checkpoint=workspace(tmp_path),
            )  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"state.npz", "best-00002.npz"}
    learned = train(
        some, None, DETECTOR, _stay(), CLASSES, on_epoch=lambda r: judge(r, 3), checkpoint=workspace(tmp_path)
    )
    assert (learned.epoch, learned.epochs) == (2, 3)
    np.testing.assert_array_equal(_flat(learned.model), after[2])
    again = train(
        some, None, DETECTOR, _stay(), CLASSES, on_epoch=lambda r: judge(r, 0), checkpoint=workspace(tmp_path)
    )
    assert (again.epoch, again.epochs) == (2, 3)  # nothing was left to do
    (tmp_path / "best-00002.npz").unlink()
    with pytest.raises(DetrayError, match="best-00002"):
        train(some, None, DETECTOR, _stay(), CLASSES, checkpoint=workspace(tmp_path))


def test_the_optimizer_is_the_one_that_is_set():
    network = build_network(DETECTOR, 2)

    def made(**changes: object) -> object:
        return make_optimizer(network, replace(BRIEF, **changes))

    names = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}
    for name, kind in names.items():
        optimizer = made(optimizer=name)
        assert type(optimizer).__name__ == kind
        assert optimizer.weight_decay == (None if name == "adam" else 1e-4)
        assert optimizer.global_clipnorm == 10
        assert getattr(optimizer, "momentum", 0.9) == 0.9
    assert made(clip_norm=None).global_clipnorm is None
    assert made(clip_norm=2.0).global_clipnorm == 2
    assert made(accumulate=4).gradient_accumulation_steps == 4
    assert made().gradient_accumulation_steps is None
    assert type(made(precision="mixed_float16")).__name__ == "LossScaleOptimizer"


def test_what_cannot_be_done_is_refused_before_it_starts(some):
    for change, words in (
        ({"precision": "mixed_float16"}, "needs a GPU"),
        ({"accumulate": 3}, "train.accumulate is 3, and the whole training has 2 steps"),
        ({"warmup_steps": 2}, "train.warmup_steps takes 2 steps"),
    ):
        with pytest.raises(UsageError, match=words):
            train(some, None, DETECTOR, replace(BRIEF, **change), CLASSES)


def test_half_precision_trains_float32_weights(some, eager):
    learned = train(some, some, DETECTOR, replace(BRIEF, precision="mixed_bfloat16"), CLASSES)
    network = learned.model.network
    assert {str(variable.dtype) for variable in network.trainable_variables} == {"float32"}
    assert {str(layer.compute_dtype) for layer in network.layers if layer.weights} == {"float32"}


def test_what_is_scaled_for_float16_is_scaled_back(some, eager):
    """It needs a GPU to be of use, and none to be right."""
    settings = replace(BRIEF, precision="mixed_float16", learning_rate=1e-3, clip_norm=None)
    anchors = len(make_anchors(DETECTOR))
    arrays = some.images[:2], np.full((2, anchors), -1, np.int32), np.zeros((2, anchors, 4), np.float32)
    found = []
    for precision in ("float32", "mixed_float16"):
        with computing_in(precision):
            network = build_network(DETECTOR, 2)
        optimizer = make_optimizer(network, replace(settings, precision=precision, optimizer="sgd"))
        before = network.get_layer("output_class").get_weights()[1]
        make_step(network, optimizer, settings, np.ones(2, np.float32))(*arrays)
        found.append(network.get_layer("output_class").get_weights()[1] - before)
    assert np.abs(found[0]).max() > 0
    np.testing.assert_allclose(found[1], found[0], rtol=0.05)


def test_frozen_units_keep_their_weights(some, eager):
    network = train(some, None, DETECTOR, replace(BRIEF, freeze_units=2), CLASSES).model.network
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


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(some, eager, tmp_path, scheme):
    place = workspace(f"{scheme}{tmp_path}")
    settings = replace(BRIEF, epochs=3)
    whole = train(some, None, DETECTOR, settings, CLASSES).model.network.get_weights()

    def stop_in_the_third(result: EpochResult) -> None:
        if result.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(some, None, DETECTOR, settings, CLASSES, on_epoch=stop_in_the_third, checkpoint=place)
    seen = []
    resumed = train(
        some, None, DETECTOR, settings, CLASSES, on_epoch=lambda r: seen.append(r.epoch), checkpoint=place
    ).model
    assert seen == [3]
    for one, other in zip(whole, resumed.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(DetrayError, match="another configuration"):
        train(some, None, DETECTOR, replace(settings, seed=5), CLASSES, checkpoint=place)
    place.store.write_bytes(b"PK\x03\x04 not a checkpoint", *place.place, "state.npz")
    with pytest.raises(DetrayError, match="not readable as a checkpoint"):
        train(some, None, DETECTOR, settings, CLASSES, checkpoint=place)


def test_a_loss_that_is_not_finite_names_the_mend(some, eager):
    with pytest.raises(DetrayError, match=r"lower train\.learning_rate"):
        train(some, None, DETECTOR, replace(BRIEF, class_weights={"green": float("inf")}), CLASSES)


@pytest.mark.parametrize(
    "change",
    [
        {"oversample": {"blue": 2.0}},
        {"undersample": {"blue": 0.5}},
        {"class_weights": {"blue": 2.0}},
        {"focus": ("blue",)},
        {"augmentation": AugmentationSettings(copy_paste=CopyPaste(classes=("blue",)))},
    ],
)
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
    model = train(some, None, replace(DETECTOR, weights=str(path)), frozen, CLASSES).model
    for name in ("backbone_3_1_down", "backbone_5_5_conv"):
        np.testing.assert_array_equal(
            model.network.get_layer(name).get_weights()[0], trained[0].network.get_layer(name).get_weights()[0]
        )
    with pytest.raises(UsageError, match="check the path"):
        train(some, None, replace(DETECTOR, weights=str(tmp_path / "none.keras")), BRIEF, CLASSES)

"""Backbones of keras.applications below the RetinaNet: levels, units, weights from files."""

from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import pytest
from drawn import CLASSES, DETECTOR
from msgspec.structs import replace

from detray.detectors.data import TrainingData
from detray.detectors.detector import Prepared
from detray.detectors.retinanet.backbones.catalogue import BACKBONES
from detray.detectors.retinanet.freezing import UNITS, backbone_layers, freeze, freezes_norm, leaves, units_of
from detray.detectors.retinanet.model import RetinaNet, load_retinanet
from detray.detectors.retinanet.network import build_network
from detray.detectors.retinanet.pretrained import require_weights
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import BackboneName, DetectorSettings, PredictSettings, TrainSettings
from detray.detectors.training.loop import train
from detray.detectors.training.step import backbone_rate, make_optimizer
from detray.errors import DetrayError, UsageError

SMALL = replace(DETECTOR, backbone="mobilenet_v3_small")
BRIEF = TrainSettings(epochs=1, batch_size=2, augmentation="none")
LAST = {
    "mobilenet_v2": ("block_6_expand_relu", "block_13_expand_relu", "out_relu"),
    "resnet50": ("conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
    "efficientnet_v2_b0": ("block4a_expand_activation", "block6a_expand_activation", "top_activation"),
}
FIRST = {"mobilenet_v2": "Conv1", "resnet50": "conv1_pad"}
"""By backbone, and module of keras.applications whose preprocessing it needs: its first layer."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[np.ndarray]]]:
    """Weights as Keras writes them of a whole classifier, and its arrays by layer name."""
    _, keras = tensorflow()
    network = keras.applications.MobileNetV3Small(input_shape=(64, 64, 3), weights=None, classes=3)
    random = np.random.default_rng(0)
    for layer in network.layers:
        layer.set_weights([array + random.uniform(0, 0.01, array.shape) for array in layer.get_weights()])
    path = tmp_path_factory.mktemp("published") / "classifier.weights.h5"
    network.save_weights(path)
    return path, {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def test_every_backbone_that_can_be_configured_is_there() -> None:
    assert set(BACKBONES) == set(get_args(BackboneName))


@pytest.mark.parametrize("name", BACKBONES)
def test_levels_lie_at_their_strides_and_units_share_the_layers_out(name: BackboneName) -> None:
    network = build_network(replace(DETECTOR, backbone=name), 2)
    units = units_of(network)
    for level in (3, 4, 5):
        lateral = network.get_layer(f"fpn_{level}_lateral")
        assert lateral.input.shape[1:3] == (64 >> level, 96 >> level)
        if name in LAST:
            assert units[f"backbone_{level}"][-1].output is lateral.input
            assert units[f"backbone_{level}"][-1].name == LAST[name][level - 3]
    mine = [layer.name for unit in units.values() for layer in leaves(unit)]
    outputs = [layer.name for layer in network.layers if layer.name in ("output_class", "output_box")]
    assert sorted(mine + outputs) == sorted(layer.name for layer in leaves(network.layers))
    assert len(set(mine)) == len(mine)
    assert all(units[unit] for unit in UNITS)


@pytest.mark.parametrize("name", FIRST)
def test_pictures_are_preprocessed_as_the_published_weights_expect(name: BackboneName) -> None:
    _, keras = tensorflow()
    network = build_network(replace(DETECTOR, backbone=name), 2)
    pictures = np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), np.uint8)
    ours = keras.Model(network.input, network.get_layer(FIRST[name]).input)(pictures)
    theirs = getattr(keras.applications, name).preprocess_input(pictures.astype(np.float32))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_standardised_pictures_have_the_mean_and_deviation_of_imagenet() -> None:
    _, keras = tensorflow()
    network = build_network(replace(DETECTOR, backbone="convnext_tiny"), 2)
    rescaled = keras.Model(network.input, network.get_layer("rescale").output)
    grey = np.full((1, 64, 96, 3), 128, np.uint8)
    expected = (128 / 255 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(rescaled(grey)[0, 0, 0], expected, atol=1e-5)


def test_equal_seeds_give_equal_backbones() -> None:
    def weights(seed: int) -> np.ndarray:
        return np.concatenate([array.ravel() for array in build_network(SMALL, 2, seed).get_weights()])

    first = weights(1)
    np.testing.assert_array_equal(first, weights(1))
    assert not np.array_equal(first, weights(2))


def test_a_saved_model_is_whole(tmp_path: Path) -> None:
    predict = PredictSettings(batch_size=2, score_threshold=0.0, max_detections=5)
    model = RetinaNet(build_network(SMALL, 2, seed=3), CLASSES, SMALL, predict, (), 0)
    for name, data in model.files().items():
        (tmp_path / name).write_bytes(data)
    loaded = load_retinanet(DETECTOR, str(tmp_path), predict)
    pictures = [Prepared(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8), 96, 64)]
    np.testing.assert_array_equal(model.detect(pictures).boxes, loaded.detect(pictures).boxes)
    _, keras = tensorflow()
    alone = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    batch = np.stack([pictures[0].pixels])
    np.testing.assert_allclose(alone(batch)["boxes"], model.network(batch)["boxes"], atol=1e-5)


def test_a_larger_input_takes_longer() -> None:
    predict = PredictSettings(batch_size=2)
    sizes = [replace(DETECTOR, input_height=side, input_width=side) for side in (64, 256)]
    small, large = (RetinaNet(build_network(one, 2), CLASSES, one, predict, (), 0).milliseconds() for one in sizes)
    assert 0 < 2 * small < large


def _without_names(source: Path, target: Path) -> None:
    """The same file as Keras before 3.10 wrote it."""
    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        file.visititems(lambda _, item: item.attrs.pop("name", None) and None)


def _of_keras_2(arrays: dict[str, list[np.ndarray]], target: Path, prefix: str = "") -> None:
    with h5py.File(target, "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [f"{prefix}{name}".encode() for name in arrays]
        for name, values in arrays.items():
            group = root.create_group(f"{prefix}{name}")
            names = [f"{prefix}{name}/array_{number}:0" for number in range(len(values))]
            group.attrs["weight_names"] = [weight.encode() for weight in names]
            for weight, value in zip(names, values, strict=True):
                group[weight] = value


@pytest.mark.parametrize("layout", ["named", "numbered", "Keras 2", "Keras 2 of other names", "a whole model"])
def test_weights_come_from_every_file_of_keras(published: Any, tmp_path: Path, layout: str) -> None:
    """All arrays of the backbone, those of the classifier left out."""
    path, arrays = published
    own = tmp_path / "other.h5"
    if layout == "numbered":
        _without_names(path, own)
    elif layout.startswith("Keras 2"):
        _of_keras_2(arrays, own, "old_" if "other" in layout else "")
    elif layout == "a whole model":
        _, keras = tensorflow()
        network = keras.applications.MobileNetV3Small(input_shape=(64, 64, 3), weights=None, classes=3)
        network.load_weights(path)
        own = tmp_path / "whole.keras"
        network.save(own)
    else:
        own = path
    network = _taken(replace(SMALL, weights=str(own)))
    layers = backbone_layers(network)
    assert len(layers) == 86
    for layer in layers:
        for ours, theirs in zip(layer.get_weights(), arrays[layer.name], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def _taken(detector: DetectorSettings) -> Any:
    from detray.detectors.retinanet.pretrained import take_backbone

    network = build_network(detector, 2)
    take_backbone(network, detector)
    return network


def test_weights_of_another_backbone_are_refused_before_anything_starts(published: Any, tmp_path: Path) -> None:
    path, arrays = published
    says = r"not of the backbone tiny: 0 of its 18 layers with weights fit and 18 do not, of which the first, back"
    with pytest.raises(DetrayError, match=says):
        require_weights(replace(DETECTOR, weights=str(path)))
    arrays = arrays | {"conv_1": [np.zeros((1, 1, 96, 7), np.float32)]}
    _of_keras_2(arrays, tmp_path / "odd.h5")
    says = r"85 of its 86 layers with weights fit \(conv, .*\.\.\.\) and 1 do not.* conv_1, has 1 x 1 x 96 x 7 where"
    with pytest.raises(DetrayError, match=says):
        require_weights(replace(SMALL, weights=str(tmp_path / "odd.h5")))
    with pytest.raises(UsageError, match="check the path"):
        require_weights(replace(SMALL, weights=str(tmp_path / "none.h5")))
    require_weights(SMALL)


def test_links_of_a_weight_file_are_not_followed(published: Any, tmp_path: Path) -> None:
    path, _ = published
    hostile = tmp_path / "links.weights.h5"
    hostile.write_bytes(path.read_bytes())
    with h5py.File(hostile, "r+") as file:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = h5py.ExternalLink(str(path), "layers/conv2d/vars/0")
    with pytest.raises(DetrayError, match="1 do not, of which the first, conv, is not there"):
        require_weights(replace(SMALL, weights=str(hostile)))


@pytest.mark.parametrize("units", [0, 2, 5])
def test_what_is_frozen_does_not_move_by_a_bit(published: Any, data: TrainingData, eager: None, units: int) -> None:
    """Neither weights nor statistics of frozen layers; and everything else does."""
    detector = replace(SMALL, weights=str(published[0]))
    settings = replace(BRIEF, freeze_units=units, epochs=1)
    start = _taken(detector)
    few = _first(data, 2)
    model = train(few, None, detector, settings, CLASSES).model
    frozen = set(freeze(start, units, True))
    assert frozen == set(model.frozen_layers)
    for ours, before in zip(leaves(model.network.layers), leaves(start.layers), strict=True):
        if ours.name.startswith(("fpn", "head", "output")) and ours.name not in frozen:
            continue
        same = [np.array_equal(a, b) for a, b in zip(ours.get_weights(), before.get_weights(), strict=True)]
        assert all(same) if ours.name in frozen else not all(same), ours.name


def _first(data: TrainingData, count: int) -> TrainingData:
    end = data.offsets[count]
    return TrainingData(
        data.images[:count], data.image_ids[:count], data.sizes[:count], data.boxes[:end], data.labels[:end],
        data.offsets[: count + 1], data.quarantine, {},
    )  # fmt: skip


def test_statistics_of_batches_are_frozen_where_weights_are_given_and_nobody_says_otherwise() -> None:
    given, tiny = replace(SMALL, weights="some.h5"), replace(DETECTOR, weights="some.h5")
    network, other = build_network(SMALL, 2), build_network(DETECTOR, 2)
    assert freezes_norm(given, BRIEF, network)
    assert not freezes_norm(given, replace(BRIEF, freeze_norm=False), network)
    assert not freezes_norm(SMALL, BRIEF, network)
    assert freezes_norm(SMALL, replace(BRIEF, freeze_norm=True), network)
    assert not freezes_norm(tiny, BRIEF, other), "group normalisation has no statistics to spoil"


def test_statistics_move_where_they_are_not_frozen(data: TrainingData, eager: None) -> None:
    model = train(_first(data, 2), None, SMALL, BRIEF, CLASSES).model
    mean, variance = model.network.get_layer("conv_bn").get_weights()[2:]
    assert mean.any()
    assert (variance != 1).all()


def test_a_backbone_that_starts_from_weights_learns_slowly() -> None:
    given = replace(SMALL, weights="some.h5")
    assert backbone_rate(given, BRIEF) == 0.1
    assert backbone_rate(given, replace(BRIEF, backbone_rate=0.5)) == 0.5
    assert backbone_rate(SMALL, BRIEF) == backbone_rate(replace(DETECTOR, weights="some.h5"), BRIEF) == 1
    network = build_network(DETECTOR, 2)
    before = [variable.numpy() for variable in network.trainable_variables]
    optimizer = make_optimizer(network, replace(BRIEF, optimizer="sgd", clip_norm=None, weight_decay=0.0), 0.25)
    optimizer.apply_gradients([(variable * 0 + 1, variable) for variable in network.trainable_variables])
    moved = {}
    for variable, start in zip(network.trainable_variables, before, strict=True):
        moved.setdefault(variable.path.startswith("backbone_"), []).append(start - variable.numpy())
    for is_backbone, steps in moved.items():
        for step in steps:
            np.testing.assert_allclose(step, BRIEF.learning_rate * (0.25 if is_backbone else 1), rtol=1e-3)
    assert set(moved) == {True, False}

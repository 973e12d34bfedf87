"""``.keras`` files: what is read of them, what is refused, and KerasHub's detectors by their raw outputs."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_models
import numpy as np
import pytest

from detray.boxes import to_corners
from detray.detectors.detector import Prepared
from detray.detectors.io import IoSettings
from detray.detectors.keras import model as adapter
from detray.detectors.keras.hub import anchors_of, best_of_queries
from detray.detectors.keras.model import check_keras, load_keras, read_keras_layout
from detray.detectors.keras.package import output_names, read_package
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, NmsSettings, PredictSettings
from detray.errors import UsageError

SIDES = (64, 96)
PREDICT = PredictSettings(batch_size=2, score_threshold=0.0, max_detections=50)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keras_models.write(tmp_path_factory.mktemp("api"), keras_models.api)


def changed(path: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """The same file with another configuration."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(folder / "changed.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return str(folder / "changed.keras")


def check(path: str, io: IoSettings = IoSettings()) -> None:  # noqa: B008 - frozen
    check_keras(DetectorSettings(kind="keras", path=path, io=io), path, trust_model=False)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("config.json", "[" * 100_000)
    for data, says in (
        (b"", "no .keras file"),
        (b"\x89HDF\r\n\x1a\n", r"saved as \.h5, .* save it as \.keras"),
        (archive.getvalue(), r"its config\.json cannot be read"),
        (archive.getvalue()[:-30], "no .keras file"),
    ):
        path.write_bytes(data)
        with pytest.raises(UsageError, match=rf"model\.keras: {says}"):
            check(str(path))


def test_a_network_of_our_own_is_of_another_kind(api: Path, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(api.read_bytes())
    check(str(tmp_path / "model.keras"))
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(UsageError, match=r"trained by detray; set detector\.kind to retinanet"):
        check(str(tmp_path / "model.keras"))


def test_models_that_do_not_say_what_they_give(api: Path, tmp_path: Path) -> None:
    def subclassed(config: dict[str, Any]) -> None:
        config |= {"class_name": "Mine", "registered_name": "Mine", "config": {"name": "mine"}}

    def grey(config: dict[str, Any]) -> None:
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, 64, 96, 1]

    def unnamed(config: dict[str, Any]) -> None:
        config["config"]["output_layers"] = [["one", 0, 0], ["two", 0, 0]]

    for change, says in (
        (subclassed, "a Mine, which does not say what it takes and gives"),
        (grey, r"takes pictures float32 \[\?, 64, 96, 1\]; a detector takes pictures"),
        (unnamed, r"gives one float32 \[\?\], two .* set detector\.io\.outputs"),
    ):
        with pytest.raises(UsageError, match=says):
            check(changed(api, tmp_path, change))
    assert output_names(["boxes", 0, 0]) == ["boxes"]
    assert output_names(None) == []


def test_code_of_a_file_is_not_run(api: Path, tmp_path: Path) -> None:
    def lambda_layer(config: dict[str, Any]) -> None:
        code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None}}
        layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer")
        layer |= {"module": "keras.layers", "class_name": "Lambda", "registered_name": None}
        layer["config"] = {"name": layer["config"]["name"], "function": code}

    path = changed(api, tmp_path, lambda_layer)
    with pytest.raises(UsageError, match=r"changed\.keras: has a Lambda layer, which is code"):
        check_keras(DetectorSettings(kind="keras"), path, trust_model=True)


def test_boxes_that_may_be_read_in_two_ways_are_asked_about(tmp_path: Path) -> None:
    path = str(keras_models.write(tmp_path, keras_models.named, rescaled=True))
    with pytest.raises(UsageError, match=r"does not tell .*box_order.* set detector\.io\."):
        check(path)
    check(path, IoSettings(box_order="xyxy", box_unit="share", resize="stretch"))


def test_kerashub_is_asked_for(api: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hub(config: dict[str, Any]) -> None:
        config |= {"module": "keras_hub.src.models", "registered_name": "keras_hub>DFineObjectDetector"}
        config["config"] = {"backbone": {"config": {"image_shape": [64, 96, 3]}}, "preprocessor": None}

    def classifier(config: dict[str, Any]) -> None:
        hub(config)
        config["registered_name"] = "keras_hub>ImageClassifier"

    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    path = changed(api, tmp_path, hub)
    stated = IoSettings(input_range="0..1")
    with pytest.raises(UsageError, match=r"layers of KerasHub, which is not installed: pip install detray\[hub\]"):
        check(path, stated)
    layout = read_keras_layout(DetectorSettings(kind="keras", io=stated), path)
    assert (layout.family, layout.height, layout.width, layout.box_order) == ("KerasHub D-FINE", 64, 96, "cxcywh")
    with pytest.raises(UsageError, match=r"a ImageClassifier of KerasHub"):
        check(changed(api, tmp_path, classifier))


def test_the_best_of_queries_and_classes() -> None:
    random = np.random.default_rng(0)
    logits, boxes = random.normal(size=(2, 7, 3)).astype(np.float32), random.uniform(size=(2, 7, 4)).astype(np.float32)
    found = {
        name: np.asarray(value) for name, value in best_of_queries({"logits": logits, "pred_boxes": boxes}, 5).items()
    }
    for picture in range(2):
        order = np.argsort(-logits[picture].ravel())[:5]
        np.testing.assert_allclose(
            found["scores"][picture], 1 / (1 + np.exp(-logits[picture].ravel()[order])), rtol=1e-6
        )
        np.testing.assert_array_equal(found["classes"][picture], order % 3)
        np.testing.assert_array_equal(found["boxes"][picture], boxes[picture][order // 3])
    assert np.asarray(best_of_queries({"logits": logits, "pred_boxes": boxes}, 100)["scores"]).shape == (2, 21)


@pytest.fixture(scope="module")
def keras_hub() -> Any:
    tensorflow()
    return pytest.importorskip("keras_hub", reason="KerasHub is an extra: pip install detray[hub]")


def retinanet(hub: Any, folder: Path, **converter: Any) -> tuple[Any, str]:
    """Random weights, so that boxes and scores are of all kinds."""
    encoder = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 16, 16, 16],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(*SIDES, 3),
    )
    backbone = hub.models.RetinaNetBackbone(
        image_encoder=encoder, min_level=3, max_level=5, use_p5=False, image_shape=(*SIDES, 3)
    )
    prepare = hub.layers.RetinaNetImageConverter(
        image_size=SIDES, scale=[0.01, 0.02, 0.03], offset=[-1, 0, 1], **converter
    )
    network = hub.models.RetinaNetObjectDetector(
        backbone=backbone,
        num_classes=3,
        bounding_box_format="yxyx",
        preprocessor=hub.models.RetinaNetObjectDetectorPreprocessor(image_converter=prepare),
    )
    random = np.random.default_rng(1)
    for head, spread in ((network.box_head, 0.01), (network.classification_head, 0.02)):
        for weight in head.weights:
            weight.assign(random.normal(0, spread, weight.shape))
    network.save(folder / "model.keras")
    return network, str(folder / "model.keras")


def test_retinanet_of_kerashub_gives_what_its_own_decoder_does(keras_hub: Any, tmp_path: Path) -> None:
    """All of its boxes and scores, before suppression."""
    network, path = retinanet(keras_hub, tmp_path, crop_to_aspect_ratio=False)
    predict = PredictSettings(batch_size=2, score_threshold=0.0, max_detections=10_000, nms=NmsSettings(mode="none"))
    settings = DetectorSettings(kind="keras", path=path)
    detector = load_keras(settings, path, predict)
    assert detector.layout.line().startswith(
        "KerasHub RetinaNet: input float32 0..255, any batch, stretched to 96 x 64"
    )
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (*SIDES, 3), np.uint8) for _ in range(3)]  # more than a batch
    found = detector.detect([Prepared(picture, SIDES[1], SIDES[0]) for picture in pictures])
    pixels = np.stack(pictures).astype(np.float32)
    outputs = network(network.preprocessor.image_converter(pixels), training=False)
    _, keras = tensorflow()
    anchors = np.concatenate([np.asarray(level) for level in network.anchor_generator(pixels).values()])
    boxes = keras.utils.bounding_boxes.decode_deltas_to_boxes(
        anchors=anchors,
        boxes_delta=outputs["bbox_regression"],
        encoded_format="center_xywh",
        anchor_format="yxyx",
        box_format="xyxy",
        image_shape=(*SIDES, 3),
    )
    scores = np.asarray(keras.ops.sigmoid(outputs["cls_logits"]))
    for picture in range(3):
        expected = np.clip(np.asarray(boxes)[picture], 0, [SIDES[1], SIDES[0]] * 2)
        order = np.argsort(-scores[picture].ravel(), kind="stable")
        mine = found.image == picture
        assert mine.sum() == scores[picture].size == 3 * len(anchors)
        np.testing.assert_allclose(found.scores[mine], scores[picture].ravel()[order], atol=1e-5)
        corners = to_corners(found.boxes[mine][:100])
        near = np.abs(corners[:, None] - expected[order[:200] // 3]).max(axis=2).min(axis=1)
        assert near.max() < 0.05  # not one by one: scores that differ by rounding may change places
    assert anchors_of(network, *SIDES).shape == anchors.shape


def test_a_cropping_converter_is_letterboxed(keras_hub: Any, tmp_path: Path) -> None:
    _, path = retinanet(keras_hub, tmp_path)
    layout = read_keras_layout(DetectorSettings(kind="keras"), path)
    assert layout.resize == "letterbox"
    assert read_package(path).needs_hub
    stated = read_keras_layout(DetectorSettings(kind="keras", io=IoSettings(resize="crop")), path)
    assert stated.resize == "crop"


def test_dfine_of_kerashub(keras_hub: Any, tmp_path: Path) -> None:
    network, path = dfine(keras_hub, tmp_path)
    settings = DetectorSettings(kind="keras", path=path, io=IoSettings(input_range="0..1"))
    detector = load_keras(settings, path, PREDICT)
    assert detector.layout.suppresses
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(3)]
    found = detector.detect([Prepared(picture, 128, 32) for picture in pictures])
    outputs = network(np.stack(pictures).astype(np.float32) / 255, training=False)
    for picture in range(3):
        scores = 1 / (1 + np.exp(-np.asarray(outputs["logits"])[picture].ravel()))
        best = scores.argmax()
        mine = np.flatnonzero(found.image == picture)
        assert len(mine) == scores.size == 30
        x, y, width, height = np.asarray(outputs["pred_boxes"])[picture][best // 3] * [128, 32, 128, 32]
        corners = np.clip([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 0, [128, 32, 128, 32])
        np.testing.assert_allclose(found.boxes[mine[0]], [*corners[:2], *(corners[2:] - corners[:2])], atol=0.05)
        assert found.category_id[mine[0]] == best % 3


def dfine(hub: Any, folder: Path) -> tuple[Any, str]:
    layers = hub.models.HGNetV2Backbone(
        stem_channels=[3, 8, 8],
        stackwise_stage_filters=[
            [8, 8, 16, 1, 1, 3],
            [16, 8, 32, 1, 1, 3],
            [32, 16, 64, 1, 1, 5],
            [64, 16, 64, 1, 1, 5],
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 64],
        embedding_size=8,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=(64, 64, 3),
        out_features=["stage3", "stage4"],
    )
    backbone = hub.models.DFineBackbone(
        backbone=layers,
        decoder_in_channels=[16, 16],
        encoder_hidden_dim=16,
        num_denoising=0,
        num_labels=3,
        hidden_dim=16,
        learn_initial_query=False,
        num_queries=10,
        anchor_image_size=(64, 64),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[64, 64],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=16,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        decoder_n_points=[2, 2],
        lqe_hidden_dim=8,
        num_lqe_layers=1,
        out_features=["stage3", "stage4"],
        image_shape=(64, 64, 3),
    )
    network = hub.models.DFineObjectDetector(backbone=backbone, num_classes=3)
    network.save(folder / "model.keras")
    return network, str(folder / "model.keras")

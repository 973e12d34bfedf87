import hashlib
import json
import os
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from drawn import CLASSES, DETECTOR
from msgspec.structs import replace

from detray.detectors import archive as archive_module
from detray.detectors.detector import Prepared
from detray.detectors.retinanet import model as module
from detray.detectors.retinanet.anchors import make_anchors
from detray.detectors.retinanet.model import (
    RetinaNet,
    load_retinanet,
    reach,
    read_retinanet_classes,
    read_retinanet_reach,
)
from detray.detectors.retinanet.network import build_network
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import AnchorSettings, PredictSettings
from detray.detectors.weights import read_arrays
from detray.errors import DetrayError

PREDICT = PredictSettings(batch_size=4, score_threshold=0.0, max_detections=20)
IMAGES = np.random.default_rng(0).integers(0, 255, (10, 64, 96, 3), np.uint8)
PICTURES = [Prepared(image, 96, 64) for image in IMAGES]


@pytest.fixture(scope="module")
def model() -> RetinaNet:
    network = build_network(DETECTOR, 2, seed=3)
    return RetinaNet(network, CLASSES, DETECTOR, PREDICT, ("a_layer",), 42)


def _write(files: dict[str, bytes], folder: Path) -> str:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return str(folder)


def test_what_was_saved_detects_the_same(model, tmp_path):
    path = _write(model.files(), tmp_path)
    loaded = load_retinanet(DETECTOR, path, PREDICT)
    before, after = model.detect(PICTURES), loaded.detect(PICTURES)
    np.testing.assert_array_equal(before.boxes, after.boxes)
    np.testing.assert_array_equal(before.scores, after.scores)
    assert loaded.classes == CLASSES == read_retinanet_classes(DETECTOR, path)
    assert (loaded.frozen_layers, loaded.trainable_parameters) == (("a_layer",), 42)


def test_the_network_loads_with_keras_alone(model, tmp_path):
    _, keras = tensorflow()
    path = _write(model.files(), tmp_path)
    with zipfile.ZipFile(Path(path, "model.keras")) as archive:
        assert "detray" not in archive.read("config.json").decode()
    network = keras.models.load_model(Path(path, "model.keras"), safe_mode=True)
    assert network(IMAGES)["logits"].shape == (10, 378, 2)


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("model.keras", None, "not there"),
        ("model.json", None, "not there"),
        ("model.keras", lambda data: data[:1000], "not the file that model.json was written with"),
        ("model.json", lambda data: b"{", "train again"),
        ("model.json", lambda data: data.replace(b'"category_id": 7', b'"category_id": 3'), "stands there twice"),
        ("model.json", lambda data: data.replace(b'"category_id": 3', b'"category_id": "x"'), "train again"),
        ("model.json", lambda data: data.replace(b'"kind": "retinanet"', b'"kind": "other"', 1), "holds a other"),
        ("model.json", lambda data: data.replace(b'"input_width": 96', b'"input_width": 97'), "train again"),
    ],
)
def test_a_damaged_model_is_refused(model, tmp_path, name, damage, says):
    files = model.files()
    if damage is None:
        del files[name]
    else:
        files[name] = damage(files[name])
    with pytest.raises(DetrayError, match=says):
        load_retinanet(DETECTOR, _write(files, tmp_path), PREDICT)


def test_a_card_of_other_classes_does_not_fit(model, tmp_path):
    files = model.files()
    card = json.loads(files["model.json"])
    card["classes"].append({"category_id": 9, "category_name": "blue"})
    files["model.json"] = json.dumps(card).encode()
    with pytest.raises(DetrayError, match="does not fit"):
        load_retinanet(DETECTOR, _write(files, tmp_path), PREDICT)


def test_code_in_a_model_file_is_not_even_read(model, tmp_path):
    """Only arrays are taken: whatever the file says of layers, the network is our own."""
    files = model.files()
    with zipfile.ZipFile(BytesIO(files["model.keras"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    huge = {"class_name": "Dense", "config": {"units": 1 << 40}, "module": "keras.layers"}
    files["model.keras"] = _archive(members | {"config.json": json.dumps(huge).encode()})
    card = json.loads(files["model.json"])
    card["network_sha256"] = hashlib.sha256(files["model.keras"]).hexdigest()
    files["model.json"] = json.dumps(card).encode()
    loaded = load_retinanet(DETECTOR, _write(files, tmp_path), PREDICT)
    np.testing.assert_array_equal(loaded.detect(PICTURES).boxes, model.detect(PICTURES).boxes)


def test_a_card_that_asks_for_a_huge_network_makes_no_room_for_it(model, tmp_path, monkeypatch):
    files = model.files()
    card = json.loads(files["model.json"])
    shapes = [[[9, 9]] * 32] * 3
    monkeypatch.setattr(module, "build_network", lambda *given: pytest.fail("built"))
    for change in (
        {"classes": [{"category_id": k, "category_name": str(k)} for k in range(100_000)]},
        {"detector": card["detector"] | {"anchors": {"shapes": shapes}}},
    ):
        files["model.json"] = json.dumps(card | change).encode()
        path = _write(files, tmp_path)
        with pytest.raises(DetrayError, match=r"does not fit its model\.json"):
            load_retinanet(DETECTOR, path, PREDICT)


def test_what_is_no_model_file_is_refused():
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", "{}")
    for data in (b"", b"PK\x03\x04", stream.getvalue(), b"\x89HDF\r\n\x1a\n"):
        with pytest.raises(DetrayError, match=r"model\.keras: .*(no weights|damaged)"):
            read_arrays(data, "model.keras")


def _archive(members: dict[str, bytes]) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _zeros(size: int) -> bytes:
    """An HDF5 file that states zeros, which take no room in it."""
    import h5py

    stream = BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("layers/a/vars/0", (size,), "u1", chunks=(1 << 16,), compression="gzip")
    return stream.getvalue()


@pytest.mark.parametrize(
    "members",
    [
        {"config.json": b"{}", "model.weights.h5": bytes(2 << 20)},
        {"config.json": b"{}", "a.npz": _archive({"a.npy": bytes(2 << 20)})},
        {"config.json": b"{}", "model.weights.h5": _zeros(2 << 20)},
        None,
    ],
)
def test_a_model_that_would_fill_the_memory_is_refused_before_it_is_read(members, monkeypatch):
    monkeypatch.setattr(archive_module, "MAX_UNPACKED", 1 << 20)
    data = _archive(members) if members else _zeros(2 << 20)
    assert len(data) < 1 << 16
    with pytest.raises(DetrayError, match=r"bomb.keras: would fill .* when it is unpacked"):
        read_arrays(data, "bomb.keras")


def test_a_pipe_is_no_model(model, tmp_path):
    files = model.files()
    del files["model.keras"]
    path = _write(files, tmp_path)
    os.mkfifo(tmp_path / "model.keras")
    with pytest.raises(DetrayError, match="not there"):
        load_retinanet(DETECTOR, path, PREDICT)


def test_trusting_a_model_changes_nothing_where_none_of_its_code_runs(model, tmp_path):
    files = model.files()
    files["model.keras"] += b" "
    path = _write(files, tmp_path)
    for trust_model in (False, True):
        with pytest.raises(DetrayError, match="not the file"):
            load_retinanet(DETECTOR, path, PREDICT, trust_model=trust_model)


def test_the_reach_is_that_of_the_anchors():
    seen = reach(DETECTOR)
    corners = make_anchors(DETECTOR)
    sides = np.unique(np.round(corners[:, 2:] - corners[:, :2], 3), axis=0)
    np.testing.assert_allclose(seen.anchors, sides, atol=1e-3)
    assert (seen.input_width, seen.input_height) == (96, 64)


def test_the_reach_follows_the_settings():
    written = replace(DETECTOR, top_level=6, anchors=AnchorSettings(sizes=((10.0,),), aspects=(1.0, 4.0)))
    assert reach(written).anchors == tuple(
        sorted((side * root, side / root) for side in (10.0, 20.0, 40.0, 80.0) for root in (1.0, 2.0))
    )
    assert reach(replace(DETECTOR, anchors="auto")) is None


def test_the_reach_of_a_model_at_hand_is_its_own(model, tmp_path):
    path = _write(model.files(), tmp_path)
    other = replace(DETECTOR, input_width=512, input_height=512, anchors="auto")
    assert read_retinanet_reach(other, path) == reach(DETECTOR)


def test_a_card_from_before_there_were_levels_and_anchors_loads(model, tmp_path):
    files = model.files()
    card = json.loads(files["model.json"])
    assert card["detector"]["top_level"] == 5
    for key in ("top_level", "anchors"):
        del card["detector"][key]
    files["model.json"] = json.dumps(card).encode()
    loaded = load_retinanet(DETECTOR, _write(files, tmp_path), PREDICT)
    np.testing.assert_array_equal(loaded.detect(PICTURES).scores, model.detect(PICTURES).scores)

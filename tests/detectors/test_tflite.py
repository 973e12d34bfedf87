"""TFLite files of all makers: which output is what, what pixels become, what the file says of its classes."""

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import tflite_models as lite
from numpy.typing import NDArray

from detray.detectors.detector import Detections
from detray.detectors.io import IoSettings
from detray.detectors.raw.anchors import ssd_anchors
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.detectors.tflite import layout as layout_module
from detray.detectors.tflite.layout import scaling_of
from detray.detectors.tflite.metadata import Metadata, read_metadata
from detray.detectors.tflite.model import Values, check_tflite, load_tflite, read_tflite_classes, read_tflite_layout
from detray.detectors.tflite.program import Program, Tensor
from detray.errors import DetrayError, UsageError

FLOATS = IoSettings(input_range="-1..1")
PREDICT = PredictSettings(score_threshold=0.0)
NAMES = {0: "a red thing", 1: "a green thing"}


def settings(folder: Path, data: bytes, io: IoSettings = FLOATS) -> DetectorSettings:
    path = folder / "model.tflite"
    path.write_bytes(data)
    return DetectorSettings(kind="tflite", path=str(path), io=io)


def detect(folder: Path, data: bytes, io: IoSettings = FLOATS) -> Detections:
    """In a picture whose red is at 20, 10, 20 x 20 px and whose green is at 50, 30, 20 x 15 px, of 80 x 50."""
    stated = settings(folder, data, io)
    assert stated.path is not None
    detector = load_tflite(stated, stated.path, PREDICT)
    picture = np.zeros((50, 80, 3), np.uint8)
    picture[10:30, 20:40, 0] = picture[30:45, 50:70, 1] = 255
    return detector.detect([detector.prepare(picture)])


def require_both(found: Detections, first: int = 0) -> None:
    assert found.category_id.tolist() == [first, first + 1]
    np.testing.assert_allclose(found.boxes, [[20, 10, 20, 20], [50, 30, 20, 15]], atol=1.5)
    np.testing.assert_allclose(found.scores, [0.9, 0.8], atol=0.01)


@pytest.fixture(scope="module")
def exported() -> bytes:
    """As the Object Detection API exports it: the graph's order is scores, boxes, count, classes."""
    return lite.convert(lite.suppressed())


@pytest.mark.parametrize(
    "names",
    [
        tuple(f"StatefulPartitionedCall:{number}" for number in (1, 3, 0, 2)),
        tuple(f"TFLite_Detection_PostProcess{number}" for number in (":2", "", ":3", ":1")),
        ("detection_scores", "detection_boxes", "num_detections", "detection_classes"),
        ("Identity", "Identity_1", "Identity_2", "Identity_3"),  # by shape and values
    ],
    ids=["numbered from TF 2.6 on", "numbered by TF 1", "named", "by values"],
)
def test_outputs_are_known_whatever_they_are_called(tmp_path: Path, exported: bytes, names: tuple[str, ...]) -> None:
    require_both(detect(tmp_path, lite.renamed(exported, names)))


def test_the_operation_says_which_output_is_what(tmp_path: Path) -> None:
    data = lite.convert(lite.postprocess(ssd_anchors(lite.HEIGHT, lite.WIDTH)))
    misleading = lite.renamed(data, [f"TFLite_Detection_PostProcess:{number}" for number in range(4)])
    for model in (data, misleading):
        require_both(detect(tmp_path, model))
    assert "at most 5 detections" in read_tflite_layout(settings(tmp_path, data), f"{tmp_path}/model.tflite").line()


def test_outputs_may_be_stated(tmp_path: Path, exported: bytes) -> None:
    by_signature = {"boxes": "output_3", "scores": "output_1", "classes": "output_2"}
    require_both(detect(tmp_path, exported, IoSettings(input_range="-1..1", outputs=by_signature)))  # type: ignore[arg-type]
    unknown = IoSettings(input_range="-1..1", outputs=by_signature | {"count": "output_9"})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"count is output_9, but .*model\.tflite has .*output_0, output_1"):
        detect(tmp_path, exported, unknown)
    with pytest.raises(UsageError, match=r"signature is detect, but .* has serving_default"):
        detect(tmp_path, exported, IoSettings(signature="detect"))


def test_outputs_that_nothing_tells_apart(tmp_path: Path) -> None:
    def silent(pictures: object) -> dict[str, object]:
        found = lite.suppressed()(pictures)
        return {name: values * 0 for name, values in found.items()}

    data = lite.renamed(lite.convert(silent), ("a", "b", "c", "d"))
    with pytest.raises(UsageError, match=r"which of a and d are scores .* set detector\.io\.outputs"):
        detect(tmp_path, data)


def test_labels_and_scaling_come_from_the_metadata(tmp_path: Path, exported: bytes) -> None:
    names = ("score", "location", "number of detections", "category")
    stated = lite.metadata([127.5], [127.5], names)
    data = lite.with_files(lite.renamed(exported, "wxyz", stated), {"labels.txt": "a red thing\na green thing\n???\n"})
    require_both(detect(tmp_path, data, IoSettings()))
    path = settings(tmp_path, data, IoSettings())
    assert read_tflite_classes(path, str(path.path)) == NAMES
    assert read_tflite_layout(path, str(path.path)).input_range == "-1..1"
    own = read_metadata(lite.renamed(exported, "wxyz", lite.metadata([123.7, 116.3, 103.5], [58.4, 57.1, 57.4], names)))
    assert own.outputs == names
    assert own.scaling is not None
    assert own.scaling.name == "torch"


def test_a_range_that_nothing_says_is_asked_for(tmp_path: Path, exported: bytes) -> None:
    with pytest.raises(UsageError, match=r"does not tell input_range; set detector\.io\.input_range to -1\.\.1 or"):
        detect(tmp_path, exported, IoSettings())


@pytest.mark.parametrize("quantised", ["uint8", "int8"])
def test_quantised_models_say_their_range(tmp_path: Path, quantised: str) -> None:
    data = lite.convert(lite.suppressed(), quantised=quantised)
    require_both(detect(tmp_path, data, IoSettings()))
    path = settings(tmp_path, data, IoSettings())
    assert f"input {quantised} -1..1, batch 1" in read_tflite_layout(path, str(path.path)).line()


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point", "name"),
    [
        ("uint8", 1 / 128, 128, "-1..1"),
        ("int8", 1 / 127.5, -1, "-1..1"),
        ("int8", 1.8 / 255, -1, "-1..1"),  # calibrated with pictures that do not fill the range
        ("uint8", 1 / 255, 0, "0..1"),
        ("int8", 1.0, -128, "0..255"),
        ("uint8", 0.0, 0, "0..255"),
        ("int8", 4.76 / 255, -15, "torch"),
        ("uint8", 0.05, 128, "own"),
    ],
)
def test_the_range_of_a_quantised_input(kind: str, scale: float, zero_point: int, name: str) -> None:
    tensor = Tensor("input", 0, (1, 8, 8, 3), np.dtype(kind), scale, zero_point)
    scaling = scaling_of(tensor)
    assert scaling.name == name
    grey = np.full((1, 8, 8, 3), 140, np.uint8)
    given = Values(tensor, scaling, False)(grey)
    assert given.dtype == np.dtype(kind)
    step = int(given[0, 0, 0, 0]) - (0 if kind == "uint8" else -128)
    if name in ("own", "0..1", "0..255"):
        assert step == 140  # a level of a pixel is a step
    assert abs(step - 140) < 20


def ultralytics(model: bytes) -> bytes:
    return lite.with_files(model, {"metadata.json": json.dumps({"names": {str(k): v for k, v in NAMES.items()}})})


@pytest.mark.parametrize(
    ("make", "family", "unit"),
    [
        (lambda: ultralytics(lite.convert(lite.columns())), "Ultralytics", "share"),
        (lambda: lite.with_files(lite.convert(lite.rows), {"temp_meta.txt": str({"names": NAMES})}), "YOLOv5", "share"),
        (lambda: ultralytics(lite.convert(lite.ended, channels_first=True)), "Ultralytics with", "input_pixel"),
    ],
    ids=["columns", "rows", "ended"],
)
def test_yolo(tmp_path: Path, make: Callable[[], bytes], family: str, unit: str) -> None:
    data = make()
    require_both(detect(tmp_path, data, IoSettings()))
    path = settings(tmp_path, data, IoSettings())
    layout = read_tflite_layout(path, str(path.path))
    assert layout.family.startswith(family)
    assert (layout.box_unit, layout.resize, layout.input_range) == (unit, "letterbox", "0..1")
    assert read_tflite_classes(path, str(path.path)) == NAMES
    counted = IoSettings(class_base=1)
    assert read_tflite_classes(settings(tmp_path, data, counted), str(path.path)) == {1: NAMES[0], 2: NAMES[1]}


def test_raw_boxes_need_anchors(tmp_path: Path) -> None:
    anchors = ssd_anchors(lite.HEIGHT, lite.WIDTH)[:20]
    data = lite.convert(lite.encoded(anchors))
    with pytest.raises(UsageError, match=r"\[1, 20, 4\] and \[1, 20, 3\] for 20 anchors .* detector\.io\.anchors"):
        detect(tmp_path, data)
    np.save(tmp_path / "anchors.npy", anchors[:, [1, 0, 3, 2]])
    given = IoSettings(input_range="-1..1", anchors=str(tmp_path / "anchors.npy"))
    require_both(detect(tmp_path, data, given))
    require_both(detect(tmp_path, data, IoSettings(input_range="-1..1", anchors=given.anchors, class_base=1)), first=1)
    np.save(tmp_path / "anchors.npy", anchors[:19])
    with pytest.raises(UsageError, match=r"anchors\.npy has 19"):
        detect(tmp_path, data, given)


def test_which_of_two_are_the_boxes(tmp_path: Path) -> None:
    """Three classes and the background are four numbers too."""
    anchors = ssd_anchors(lite.HEIGHT, lite.WIDTH)

    def three(pictures: object) -> dict[str, object]:
        tf, _ = tensorflow()
        found = lite.encoded(anchors)(pictures)
        return {"a": tf.pad(found["class_predictions"], [[0, 0], [0, 0], [0, 1]]), "b": found["box_encodings"]}

    data = lite.convert(three)
    with pytest.raises(UsageError, match=r"which is which is set in detector\.io\.outputs"):
        detect(tmp_path, data)
    require_both(detect(tmp_path, data, IoSettings(input_range="-1..1", outputs={"boxes": "b", "scores": "a"})))
    names = {"a": "raw_outputs/class_predictions", "b": "raw_outputs/box_encodings"}
    program = Program(data, "x")
    called = {index: names[name] for name, index in program.signatures["serving_default"].items()}
    require_both(detect(tmp_path, lite.renamed(data, [called[tensor.index] for tensor in program.outputs])))


def test_decoded_boxes_say_their_order(tmp_path: Path) -> None:
    def turned(pictures: object) -> dict[str, object]:
        tf, _ = tensorflow()
        output = tf.transpose(lite.columns()(pictures)["output0"], (0, 2, 1))
        return {"boxes": output[..., :4], "scores": output[..., 4:]}

    require_both(detect(tmp_path, lite.convert(turned), IoSettings(input_range="0..1", box_order="cxcywh")))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no TFLite file"),
        (b"\x89HDF\r\n\x1a\n", "no TFLite file"),
        (b"\0\0\0\0TFL3" + b"\xff" * 900, "LiteRT does not run it .* convert it anew"),
    ],
    ids=["empty", "h5", "noise"],
)
def test_files_that_are_no_models(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(DetrayError, match=rf"model\.tflite: {says}"):
        detect(tmp_path, data)


def test_models_that_detect_nothing(tmp_path: Path) -> None:
    two = lite.convert(lambda pictures: {"a": pictures[:, 0, 0], "b": pictures[:, 1, 0], "c": pictures[:, 2, 0]})
    with pytest.raises(UsageError, match=r"gives .* \[1, 3\].* no detector's output that detray knows"):
        detect(tmp_path, two)
    grey = lite.convert(lambda pictures: {"a": pictures[..., 0]}, height=3, width=3)
    with pytest.raises(UsageError, match="no detector's output"):
        detect(tmp_path, grey)


def test_damaged_files_end_in_a_sentence(tmp_path: Path, exported: bytes) -> None:
    """Bytes changed at random: the model runs, or is refused; the process never ends."""
    whole = lite.with_files(
        lite.renamed(exported, "wxyz", lite.metadata([127.5], [127.5], ("score", "location", "count", "category"))),
        {"labels.txt": "a\nb\n"},
    )
    seeded = random.Random(0)
    for _ in range(60):
        data = bytearray(whole[: seeded.choice([len(whole), seeded.randrange(len(whole))])])
        for _ in range(seeded.choice([1, 4, 30])):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        with contextlib.suppress(DetrayError):
            detect(tmp_path, bytes(data))
        if data[4:8] == b"TFL3":
            assert isinstance(read_metadata(bytes(data)), Metadata)


def test_as_many_pictures_at_once_as_the_process_has_threads(
    tmp_path: Path, exported: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stated = settings(tmp_path, exported)
    detector = load_tflite(stated, str(stated.path), PREDICT)
    pictures = [detector.prepare(np.full((50, 80, 3), level, np.uint8)) for level in range(0, 240, 30)]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one_by_one = detector.detect(pictures)
    meet, run = Barrier(4, timeout=60), Program.run

    def meeting(program: Program, values: NDArray) -> dict[int, NDArray]:
        meet.wait()
        return run(program, values)

    monkeypatch.setattr(Program, "run", meeting)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    together = detector.detect(pictures)
    for name in ("image", "category_id", "boxes", "scores", "rank"):
        assert np.array_equal(getattr(together, name), getattr(one_by_one, name))
    assert capfd.readouterr().err == ""


def test_a_file_is_opened_once_until_it_changes(
    tmp_path: Path, exported: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Program] = []

    def program(data: bytes, place: str) -> Program:
        opened.append(Program(data, place))
        return opened[-1]

    monkeypatch.setattr(layout_module, "Program", program)
    for count in (1, 2):
        stated = settings(tmp_path, exported)
        path = str(stated.path)
        check_tflite(stated, path, trust_model=False)
        assert read_tflite_classes(stated, path) == {}
        assert load_tflite(stated, path, PREDICT).layout == read_tflite_layout(stated, path)
        assert len(opened) == count


def test_large_texts_behind_a_model_are_not_read(exported: bytes) -> None:
    assert read_metadata(lite.with_files(exported, {"labels.txt": "a\n" * (1 << 20)})).classes == {}
    assert read_metadata(lite.with_files(exported, {"metadata.json": "[" * 100_000})).yolo is None

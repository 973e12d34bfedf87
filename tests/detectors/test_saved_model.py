"""SavedModels: what their signatures are read as, what is refused before anything starts, and what trust runs."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import saved_models
from drawn import draw
from models import ONE_PICTURE, PICTURES, PREDICT, SAVED_MODELS
from msgspec.structs import replace

from detray.detectors.ambiguous import AmbiguousError
from detray.detectors.io import IoSettings
from detray.detectors.readings import require_runnable
from detray.detectors.runtime import tensorflow
from detray.detectors.saved_model.families import FAMILIES
from detray.detectors.saved_model.metadata import UltralyticsCard
from detray.detectors.saved_model.model import (
    check_saved_model,
    load_saved_model,
    read_saved_model_classes,
    read_saved_model_layout,
)
from detray.detectors.saved_model.package import read_package
from detray.detectors.saved_model.proto import saved_model
from detray.detectors.saved_model.scan import allowed_ops, require_harmless, without_saver
from detray.detectors.saved_model.signature import Port, Signature
from detray.detectors.settings import DetectorSettings
from detray.errors import DetrayError, UsageError
from detray.pictures import read_picture
from detray.store import Store

SETTINGS = DetectorSettings(kind="saved_model")

LINES = {
    "api of one picture": "Object Detection API: input uint8 0..255, batch 1, as they are; boxes ymin, xmin, ymax, xmax"
    " as shares; classes from 1; NMS inside",
    "api of any batch": "Object Detection API: input uint8 0..255, any batch, as they are; boxes ymin, xmin, ymax, xmax"
    " as shares; classes from 1; NMS inside",
    "api of floats": "Object Detection API: input float32 0..255, any batch, as they are; boxes ymin, xmin, ymax, xmax"
    " as shares; classes from 1; NMS inside",
    "api of encoded pictures": "Object Detection API: input encoded pictures, any batch, as they are; boxes ymin, xmin,"
    " ymax, xmax as shares; classes from 1; NMS inside",
    "api of examples": "Object Detection API: input tf.train.Example, any batch, as they are; boxes ymin, xmin, ymax,"
    " xmax as shares; classes from 1; NMS inside",
    "api through TF.js": "Object Detection API through TF.js: input int32 0..255, batch 1, as they are; boxes ymin,"
    " xmin, ymax, xmax as shares; classes from 1; NMS inside",
    "official.vision": "official.vision: input uint8 0..255, any batch, as they are; boxes ymin, xmin, ymax, xmax in"
    " pixels of the input; classes from 1; NMS inside",
    "official.vision without NMS": "official.vision: input uint8 0..255, batch 2, as they are; boxes ymin, xmin, ymax,"
    " xmax in pixels of the input; classes from 1; NMS by detray",
    "named outputs": "named outputs: input float32 0..1, any batch, letterboxed to 96 x 64 px; boxes xmin, ymin, xmax,"
    " ymax in pixels of the input; classes from 0; NMS inside",
    "Ultralytics": "Ultralytics: input float32 0..1, batch 1, letterboxed to 96 x 64 px; boxes centre x, centre y,"
    " width, height in pixels of the input; classes from 0; NMS by detray",
    "Ultralytics after NMS": "Ultralytics: input float32 0..1, batch 1, letterboxed to 96 x 64 px; boxes xmin, ymin,"
    " xmax, ymax in pixels of the input; classes from 0; NMS inside",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, DetectorSettings]:
    """Some of the contract's models, and one more that its signature leaves open."""
    root = tmp_path_factory.mktemp("models")
    made = {}
    for model in SAVED_MODELS:
        if model.name in LINES:
            (root / model.name).mkdir()
            made[model.name] = model.made(root / model.name)
    return made


@pytest.mark.parametrize("name", LINES)
def test_a_layout_is_told_in_a_line(folders: Mapping[str, DetectorSettings], name: str) -> None:
    assert read_saved_model_layout(folders[name], str(folders[name].path)).line() == LINES[name]


def _signature(outputs: Mapping[str, tuple[int | None, ...]], kind: str = "float32") -> Signature:
    ports = {name: Port(name, "float32", shape) for name, shape in outputs.items()}
    return Signature("serving_default", Port("x", kind, PICTURES), kind, ports)  # type: ignore[arg-type]


def _family(outputs: Mapping[str, tuple[int | None, ...]], card: UltralyticsCard | None = None) -> Any:
    found = [reading for family in FAMILIES if (reading := family(_signature(outputs), card))]
    return found[0] if found else None


def _numbered(*shapes: tuple[int | None, ...] | None) -> dict[str, Any]:
    return {f"Identity_{number}" if number else "Identity": shape for number, shape in enumerate(shapes)}


def test_alphabetical_outputs_are_told_by_shape() -> None:
    assert _family(_numbered((1, 9, 4), (1, 9), (1, 9), (1,))).outputs == {
        "boxes": "Identity", "classes": "Identity_1", "scores": "Identity_2", "count": "Identity_3"
    }  # fmt: skip
    assert _family(_numbered((1, 9, 4), (1, 9), (1, 9, 33, 33), (1, 9), (1,))).outputs["scores"] == "Identity_3"
    # ten and more stand in the order of their numbers, not of their names
    first = ((1, 9), (1, 9, 4), (1, 9), (1, 9, 5), (1, 9, 5, 2), (1, 9, 7, 7), (1, 9, 3))
    assert _family(_numbered(*first, (1, 9), (1,), (1, 99, 4), (1, 99, 3))).outputs["count"] == "Identity_8"
    assert _family(_numbered((1, 9, 4), (1, 9))) is None
    assert _family(_numbered(*[None] * 5)) is None  # which of seven optional outputs is the fifth nothing tells


@pytest.mark.parametrize(
    ("shape", "names", "order"),
    [
        ((1, 84, 8400), 80, "cxcywh"),
        ((1, 84, 8400), 0, "cxcywh"),
        ((1, 300, 6), 80, "xyxy"),
        ((1, 300, 6), 0, None),
        ((1, 6, 8400), 2, "cxcywh"),
        ((1, 84, None), 80, "cxcywh"),
        ((1, None, 6), 2, "xyxy"),
        ((1, 8400, 84), 80, None),
        ((1, 4, 8400), 0, None),
        ((1, 10), 0, None),
    ],
)
def test_one_output_is_told_by_its_shape(shape: tuple[int | None, ...], names: int, order: str | None) -> None:
    card = UltralyticsCard({number: str(number) for number in range(names)}, None) if names else None
    found = _family({"output_0": shape}, card)
    assert (found and found.box_order) == order


def test_what_is_stated_comes_first(folders: Mapping[str, DetectorSettings]) -> None:
    settings = folders["api of one picture"]
    stated = {"box_order": "xyxy", "box_unit": "pixel", "class_base": 0, "resize": "letterbox", "batch": 1}
    layout = read_saved_model_layout(replace(settings, io=IoSettings(**stated)), str(settings.path))
    assert {key: getattr(layout, key) for key in stated} == stated
    assert (layout.height, layout.width) == (settings.input_height, settings.input_width)
    roles = {"boxes": "detection_boxes", "scores": "detection_classes", "classes": "detection_scores"}
    with pytest.raises(AmbiguousError) as error:  # of outputs that are only stated nothing else is known
        read_saved_model_layout(replace(settings, io=IoSettings(outputs=roles)), str(settings.path))
    assert {reading.outputs["scores"] for reading in error.value.readings} == {"detection_classes"}
    with pytest.raises(UsageError, match=r"boxes is rois, but the model gives detection_boxes float32 \[1, 2, 4\]"):
        read_saved_model_layout(replace(settings, io=IoSettings(outputs={"boxes": "rois"})), str(settings.path))
    with pytest.raises(UsageError, match=r"detector.io.signature is predict, but its signatures are serving_default"):
        read_saved_model_layout(replace(settings, io=IoSettings(signature="predict")), str(settings.path))


def test_names_come_from_the_metadata_beside_the_model(tmp_path: Path, folders: Mapping[str, DetectorSettings]) -> None:
    path = folders["Ultralytics"].path
    assert path is not None
    assert read_saved_model_classes(SETTINGS, path) == {0: "red", 1: "green"}
    assert read_saved_model_classes(SETTINGS, str(folders["named outputs"].path)) == {}
    copy = shutil.copytree(path, tmp_path / "copy")
    for text, message in (
        ("names: [a, b]\ntask: segment", r"task is 'segment', and detray evaluates detection"),
        ("names: 3", "has no names by class id"),
        ("names: [a", "not readable as YAML"),
    ):
        (copy / "metadata.yaml").write_text(text)
        with pytest.raises(UsageError, match=message):
            read_saved_model_classes(SETTINGS, str(copy))


def test_an_open_signature_is_refused_with_what_its_readings_hit(tmp_path: Path) -> None:
    from drawn import draw

    from detray.flow.data import MemoryData

    path = str(saved_models.write(tmp_path / "model", saved_models.vision(), PICTURES, "uint8"))
    with pytest.raises(AmbiguousError, match=r"box_unit; set detector.io.box_unit to share or input_pixel$"):
        read_saved_model_layout(SETTINGS, path)
    shard = draw(tmp_path / "pictures", 3)
    predict = replace(PREDICT, splits=("train",))
    with pytest.raises(UsageError) as error:
        require_runnable(SETTINGS, path, predict, MemoryData([shard]), trust_model=False)
    assert str(error.value) == (
        f"{path}: its signature does not tell box_unit; of 6 objects in 3 pictures {{box_unit: input_pixel}} hits 6"
        " (mean IoU 0.98) and {box_unit: share} hits 0 (mean IoU 0.00); set detector.io to what is right"
    )
    settled = replace(SETTINGS, io=IoSettings(box_unit="input_pixel"))
    require_runnable(settled, path, predict, MemoryData([shard]), trust_model=False)


def test_what_is_stated_must_fit(folders: Mapping[str, DetectorSettings]) -> None:
    one, fixed = folders["api of one picture"], folders["named outputs"]
    with pytest.raises(UsageError, match=r"io.batch is 4, but it takes input_tensor uint8 \[1, \?, \?, 3\]"):
        read_saved_model_layout(replace(one, io=IoSettings(batch=4)), str(one.path))
    with pytest.raises(UsageError, match=r"io.resize is none, but it takes .* \[\?, 64, 96, 3\]: this size only"):
        read_saved_model_layout(replace(fixed, io=replace(fixed.io, resize="none")), str(fixed.path))


def test_stated_ranges_and_anchors_that_nothing_would_read(folders: Mapping[str, DetectorSettings]) -> None:
    whole = folders["api of one picture"]
    for io, sentence in (
        (IoSettings(input_range="0..1"), r"input_range is 0\.\.1, but it takes input_tensor uint8"),
        (IoSettings(anchors="anchors.npy"), "anchors is for TFLite files"),
    ):
        with pytest.raises(UsageError, match=sentence):
            read_saved_model_layout(replace(whole, io=io), str(whole.path))


@pytest.mark.parametrize(("name", "ids"), [("Ultralytics", {1, 2}), ("Ultralytics after NMS", {0, 1})])
def test_places_count_from_the_stated_base_and_written_ids_stand(
    tmp_path: Path, folders: Mapping[str, DetectorSettings], name: str, ids: set[int]
) -> None:
    settings = replace(folders[name], io=IoSettings(class_base=1))
    model = load_saved_model(settings, str(settings.path), PREDICT, trust_model=False)
    [path] = draw(tmp_path, 1).images["path"].to_pylist()
    found = model.detect([model.prepare(read_picture(path))])
    assert set(found.category_id.tolist()) == ids
    assert model.classes == read_saved_model_classes(settings, str(settings.path)) == {1: "red", 2: "green"}


def _choosy(pixels: Any) -> Mapping[str, Any]:
    tf, _ = tensorflow()
    with tf.control_dependencies([tf.debugging.assert_greater(tf.shape(pixels)[1], 9, "too low a picture")]):
        return saved_models.api(tf.identity(pixels))


def test_a_model_that_fails_says_so_in_a_sentence(tmp_path: Path) -> None:
    path = str(saved_models.write(tmp_path / "model", _choosy, ONE_PICTURE, "uint8"))
    detector = load_saved_model(SETTINGS, path, PREDICT, trust_model=False)
    assert len(detector.detect([detector.prepare(np.full((20, 30, 3), (255, 0, 0), np.uint8))]).scores) == 1
    with pytest.raises(DetrayError, match=r"model: the model fails on pictures of 30 x 5 px \(.*too low a picture"):
        detector.detect([detector.prepare(np.zeros((5, 30, 3), np.uint8))])


# what is refused


@pytest.fixture
def model(tmp_path: Path, folders: Mapping[str, DetectorSettings]) -> Path:
    return shutil.copytree(str(folders["api of one picture"].path), tmp_path / "model")


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _cut(folder: Path) -> None:
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-100])


def _empty(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"")


def _nested(folder: Path) -> None:
    (folder / "saved_model").mkdir()
    (folder / "saved_model.pb").rename(folder / "saved_model" / "saved_model.pb")


def _linked_out(folder: Path) -> None:
    index = folder / "variables" / "variables.index"
    index.rename(folder.parent / "elsewhere")
    index.symlink_to(folder.parent / "elsewhere")


def _edited(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        graph = folder / "saved_model.pb"
        found = saved_model().FromString(graph.read_bytes())
        change(found.meta_graphs[0])
        graph.write_bytes(found.SerializeToString())

    return edit


def _no_signature(graph: Any) -> None:
    del graph.signatures[:]


def _two_inputs(graph: Any) -> None:
    for entry in graph.signatures:
        for port in list(entry.value.inputs):
            entry.value.inputs.add(key="more").value.CopyFrom(port.value)


def _channels_first(graph: Any) -> None:
    for entry in graph.signatures:
        for port in entry.value.inputs:
            for side, size in zip(port.value.shape.sides, (1, 3, -1, -1), strict=True):
                side.size = size


def _no_answer(graph: Any) -> None:
    for entry in graph.signatures:
        for port in entry.value.outputs:
            port.key = f"{port.key}_of_a_classifier"


def _not_decoded(graph: Any) -> None:
    for entry in graph.signatures:
        for port, name in zip(entry.value.outputs, ("raw_boxes", "raw_scores", "image_info", "more"), strict=False):
            port.key = name


def _training_only(graph: Any) -> None:
    graph.info.tags[:] = ["train"]


def _asset(name: str) -> Callable[[Any], None]:
    return lambda graph: graph.assets.add(filename=name)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (shutil.rmtree, "not there; a SavedModel is a folder with saved_model.pb"),
        (_without("saved_model.pb"), "no SavedModel, it has no saved_model.pb; detector.path names a folder"),
        (_nested, r"it has no saved_model.pb; one lies in .*/model/saved_model$"),
        (_cut, "saved_model.pb: cut off, or no SavedModel"),
        (_empty, r"holds 0 graphs for serving \(tags: no graph\)"),
        (_edited(_training_only), r"holds 0 graphs for serving \(tags: train\)"),
        (_without("variables/variables.index"), r"its variables are missing \(variables/variables.index\)"),
        (_without("variables/variables.data-00000-of-00001"), "its variables are missing"),
        (_linked_out, r"its variables are missing \(variables/variables.index\)"),
        (_edited(_asset("../../etc/passwd")), r"its asset '../../etc/passwd' is not in the folder"),
        (_edited(_asset("names.txt")), "its asset 'names.txt' is not in the folder"),
        (_edited(_no_signature), "its signatures are none; export it with one that detects"),
        (_edited(_two_inputs), "a detector takes pictures and nothing else"),
        (_edited(_channels_first), r"input_tensor uint8 \[1, 3, \?, \?\]; detray gives pictures as"),
        (
            _edited(_not_decoded),
            "raw_boxes are offsets from anchors .*; export it with .*decode_boxes: true",
        ),
        (_edited(_no_answer), "no detector's answer that detray knows; set detector.io.outputs"),
    ],
)
def test_what_is_no_whole_detector_is_refused_in_a_sentence(
    model: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    damage(model)
    with pytest.raises(UsageError, match=sentence) as error:
        check_saved_model(SETTINGS, str(model), trust_model=True)
    assert str(error.value).startswith(str(model))
    assert "\n" not in str(error.value)


def test_a_file_is_no_saved_model_and_one_too_large_is_not_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"saved_model.pb: a file; a SavedModel is a folder"):
        read_package(str(model / "saved_model.pb"))
    monkeypatch.setattr("detray.detectors.saved_model.package.MAX_UNPACKED", 1 << 12)
    with pytest.raises(UsageError, match="is the most that is read"):
        read_package(str(model))


# what a graph would do


def writing(place: Path) -> saved_models.Answer:
    def answer(pixels: Any) -> Mapping[str, Any]:
        tf, _ = tensorflow()
        with tf.control_dependencies([tf.io.write_file(str(place), "here")]):
            return saved_models.api(tf.identity(pixels))

    return answer


def test_a_model_that_writes_files_is_refused_and_trusted_really_runs(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = str(saved_models.write(tmp_path / "model", writing(mark), ONE_PICTURE, "uint8"))
    for refused in (
        lambda: check_saved_model(SETTINGS, path, trust_model=False),
        lambda: load_saved_model(SETTINGS, path, PREDICT, trust_model=False),
    ):
        with pytest.raises(UsageError, match=r"its graph writes files \(WriteFile\); --trust-model runs it"):
            refused()
    check_saved_model(SETTINGS, path, trust_model=True)
    detector = load_saved_model(SETTINGS, path, PREDICT, trust_model=True)
    picture = np.full((20, 30, 3), (255, 0, 0), np.uint8)
    assert not mark.exists()
    assert detector.detect([detector.prepare(picture)]).category_id.tolist() == [1]
    assert mark.read_text() == "here"


def _python(pixels: Any) -> Mapping[str, Any]:
    tf, _ = tensorflow()
    return saved_models.api(tf.ensure_shape(tf.numpy_function(lambda array: array, [pixels], tf.uint8), ONE_PICTURE))


def _reading(pixels: Any) -> Mapping[str, Any]:
    """In a function that a branch calls, which is not in the graph itself."""
    tf, _ = tensorflow()
    size = tf.cond(
        tf.shape(pixels)[1] > 1_000_000,
        lambda: tf.strings.length(tf.io.read_file("/etc/hostname")),
        lambda: 0,
    )
    return saved_models.api(pixels + tf.cast(size, tf.uint8))


def _printing(pixels: Any) -> Mapping[str, Any]:
    tf, _ = tensorflow()
    with tf.control_dependencies([tf.raw_ops.PrintV2(input="x", output_stream="file:///tmp/x")]):
        return saved_models.api(tf.identity(pixels))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (_python, r"its graph runs Python \((PyFunc|PyFuncStateless|EagerPyFunc)\)"),
        (_reading, r"its graph reads files \(ReadFile\)"),
        (_printing, r"its graph writes files \(PrintV2\)"),
    ],
)
def test_ops_that_reach_out_are_found_wherever_they_stand(
    tmp_path: Path, answer: saved_models.Answer, sentence: str
) -> None:
    path = str(saved_models.write(tmp_path / "model", answer, ONE_PICTURE, "uint8"))
    with pytest.raises(UsageError, match=sentence):
        check_saved_model(SETTINGS, path, trust_model=False)


def _first_op(name: str, function: str = "detect") -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        found = next(entry for entry in graph.graph.library.functions if function in entry.signature.name)
        found.nodes[0].op = name

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_first_op("MyCustomOp"), r"has ops that detectors are not made of \(MyCustomOp\); --trust-model"),
        (_first_op("RestoreV2"), r"reads files \(RestoreV2\)"),
    ],
)
def test_the_scan_reads_the_graph_itself(model: Path, change: Callable[[Any], None], sentence: str) -> None:
    _edited(change)(model)
    with pytest.raises(UsageError, match=sentence):
        check_saved_model(SETTINGS, str(model), trust_model=False)
    check_saved_model(SETTINGS, str(model), trust_model=True)


def test_only_what_saves_and_restores_is_left_out(model: Path) -> None:
    graph = read_package(str(model)).graph
    names = {entry.signature.name for entry in graph.graph.library.functions}
    kept = {entry.signature.name for entry in without_saver(graph).graph.library.functions}
    assert {name.rpartition("_")[0] for name in names - kept} == {
        "__inference__traced_save",
        "__inference__traced_restore",
    }
    with pytest.raises(UsageError, match="SaveV2"):
        require_harmless(graph, str(model))
    _edited(_first_op("PyFunc", "traced_save"))(model)  # it cannot run, so it is not judged
    check_saved_model(SETTINGS, str(model), trust_model=False)


def test_ops_are_allowed_by_name() -> None:
    from tensorflow.python.framework import op_def_registry

    allowed = allowed_ops()
    unknown = [op for op in allowed if op_def_registry.get(op) is None]
    assert not unknown
    tf, _ = tensorflow()
    stock = {name for name in dir(tf.raw_ops) if name[0].isupper()}
    reaching = (
        "File",
        "Save",
        "Restore",
        "Dataset",
        "Iterator",
        "Py",
        "Summary",
        "Recv",
        "Send",
        "Debug",
        "Rpc",
        "Remote",
    )
    reaching = (*reaching, "Print", "Reader", "Queue", "Session", "Xla", "TPU", "Collective", "Proto", "Write")
    suspects = {op for op in stock & allowed if any(word in op for word in reaching)}
    assert suspects == {"TensorArrayWrite", "TensorArrayWriteV2", "TensorArrayWriteV3"}
    assert {"Conv2D", "NonMaxSuppressionV5", "While", "StatefulPartitionedCall", "ReadVariableOp"} <= allowed


# places, and TensorFlow 1


def test_a_model_on_another_machine_is_copied(model: Path) -> None:
    """Of an object store its files are listed and read through pyarrow, without paths of this machine."""
    (model / "keras_metadata.pb").write_bytes(b"not for a loader")
    place = f"memory://{model.parent.name}/model"
    for path in filter(Path.is_file, model.rglob("*")):
        Store(place).write_bytes(path.read_bytes(), path.relative_to(model).as_posix())
    package = read_package(place)
    with package.copied(None) as folder:
        copied = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
        assert not any(path.is_symlink() for path in Path(folder).rglob("*"))
    assert copied == set(package.files) - {"keras_metadata.pb", "fingerprint.pb"}
    detector = load_saved_model(SETTINGS, place, PREDICT, trust_model=False)
    picture = np.full((20, 30, 3), (255, 0, 0), np.uint8)
    np.testing.assert_allclose(detector.detect([detector.prepare(picture)]).boxes, [[0, 0, 30, 20]])


@pytest.mark.parametrize("has_variable", [False, True])
def test_frozen_graphs_of_tensorflow_1_run_and_restoring_ones_are_trusted(tmp_path: Path, has_variable: bool) -> None:
    tf, _ = tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        taken = v1.placeholder(tf.uint8, PICTURES)
        given = dict(saved_models.api(taken))
        if has_variable:
            given["detection_boxes"] *= v1.get_variable("one", initializer=1.0, use_resource=False)
            session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "model"), {"inputs": taken}, given)
    path = str(tmp_path / "model")
    if has_variable:
        with pytest.raises(UsageError, match=r"writes files \(.*SaveV2.*\) and reads files \(RestoreV2\)"):
            check_saved_model(SETTINGS, path, trust_model=False)
    detector = load_saved_model(SETTINGS, path, PREDICT, trust_model=has_variable)
    picture = np.full((20, 30, 3), (0, 255, 0), np.uint8)
    found = detector.detect([detector.prepare(picture)])
    assert found.category_id.tolist() == [2]
    np.testing.assert_allclose(found.boxes, [[0, 0, 30, 20]], atol=1e-4)

"""TFLite files as people have them, converted in tests."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from finder import find, sizes

from detray.detectors.raw.anchors import ssd_anchors
from detray.detectors.raw.decode import SSD_VARIANCE
from detray.detectors.runtime import tensorflow

HEIGHT, WIDTH = 64, 96
COUNTED = ("count", "scores", "classes", "boxes")
"""The order of the Object Detection API's export, output_0 to output_3."""
POSTPROCESSED = ("boxes", "classes", "scores", "count")
"""That of TFLite_Detection_PostProcess."""

Answer = Callable[[Any], dict[str, Any]]


def convert(
    answer: Answer,
    *,
    height: int = HEIGHT,
    width: int = WIDTH,
    quantised: str | None = None,
    batch: int = 1,
    channels_first: bool = False,
) -> bytes:
    """A model that answers pictures ``[batch, height, width, 3]`` of floats; ``quantised``: its type outside."""
    tf, _ = tensorflow()
    shape = (batch, 3, height, width) if channels_first else (batch, height, width, 3)
    traced = tf.function(answer, autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32, "input")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()], tf.Module())
    converter.allow_custom_ops = True
    if quantised:
        random = np.random.default_rng(0)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [random.choice([-1, 1], shape).astype(np.float32)] for _ in range(8)
        )
        converter.inference_input_type = converter.inference_output_type = getattr(tf, quantised)
    return bytes(converter.convert())


def suppressed(order: Sequence[str] = COUNTED, names: str = "output_{}") -> Answer:
    """Pixels -1 to 1 to boxes ymin, xmin, ymax, xmax as shares, best first, as models with post-processing answer."""

    def answer(pictures: Any) -> dict[str, Any]:
        tf, _ = tensorflow()
        columns: dict[str, list[Any]] = {role: [] for role in order}
        for picture in tf.unstack(pictures):
            corners, scores = find((picture + 1) / 2)
            best = tf.argsort(-scores)
            columns["boxes"].append(tf.gather(tf.gather(corners, [1, 0, 3, 2], axis=1), best))
            columns["scores"].append(tf.gather(scores, best))
            columns["classes"].append(tf.cast(best, tf.float32))
            columns["count"].append(tf.reduce_sum(tf.cast(scores > 0, tf.float32)))
        return {names.format(number): tf.stack(columns[role]) for number, role in enumerate(order)}

    return answer


def encoded(anchors: np.ndarray) -> Answer:
    """Pixels -1 to 1 to box encodings and scores with a background; the first anchor finds red, the second green."""

    def answer(pictures: Any) -> dict[str, Any]:
        tf, _ = tensorflow()
        corners, scores = find((pictures[0] + 1) / 2)
        box, prior = sizes(corners), tf.constant(anchors[:2], tf.float32)
        shifts = (box[:, :2] - prior[:, :2]) / prior[:, 2:]
        scales = tf.math.log(tf.maximum(box[:, 2:], 1e-3) / prior[:, 2:])
        deltas = tf.concat([shifts, scales], axis=1) / tf.constant(SSD_VARIANCE, tf.float32)
        rest = len(anchors) - 2
        by_class = tf.concat([tf.ones((2, 1)) - scores[:, None], tf.linalg.diag(scores)], axis=1)
        return {
            "box_encodings": tf.pad(tf.gather(deltas, [1, 0, 3, 2], axis=1), [[0, rest], [0, 0]])[None],
            "class_predictions": tf.pad(by_class, [[0, rest], [0, 0]])[None],
        }

    return answer


def postprocess(anchors: np.ndarray) -> Answer:
    """The same with TFLite's own operation behind it, as the Object Detection API exports it."""
    attributes = {
        "max_detections": "i: 5", "max_classes_per_detection": "i: 1", "use_regular_nms": "b: false",
        "nms_score_threshold": "f: 0.01", "nms_iou_threshold": "f: 0.5", "num_classes": "i: 2",
        "y_scale": "f: 10", "x_scale": "f: 10", "h_scale": "f: 5", "w_scale": "f: 5",
    }  # fmt: skip
    stated = " ".join(f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in attributes.items())

    def answer(pictures: Any) -> dict[str, Any]:
        tf, _ = tensorflow()

        @tf.function(autograph=False, experimental_implements=f'name: "TFLite_Detection_PostProcess" {stated}')
        def operation(boxes: Any, scores: Any, priors: Any) -> Any:
            return tf.zeros((1, 5, 4)), tf.zeros((1, 5)), tf.zeros((1, 5)), tf.zeros((1,))

        raw = encoded(anchors)(pictures)
        priors = tf.constant(anchors[:, [1, 0, 3, 2]], tf.float32)
        made = operation(raw["box_encodings"], raw["class_predictions"], priors)[::-1]
        return {f"output_{number}": values for number, values in enumerate(made)}

    return answer


def faces(pictures: Any) -> dict[str, Any]:
    """Pixels -1 to 1 to MediaPipe's regressors and logits; the first of 896 anchors finds what is red."""
    tf, _ = tensorflow()
    side = float(pictures.shape[1])
    corners, scores = find((pictures[0] + 1) / 2)
    box = sizes(corners)[0]
    offsets = tf.concat([box[:2] - 0.5 / 16, box[2:], tf.zeros(12)], axis=0) * side
    logit = tf.math.log((scores[0] + 1e-9) / (1 - scores[0]))
    return {
        "regressors": tf.pad(offsets[None], [[0, 895], [0, 0]])[None],
        "classificators": tf.pad(logit[None, None] + 99.0, [[0, 895], [0, 0]])[None] - 99.0,
    }


def columns(scale: tuple[float, float] = (1, 1)) -> Answer:
    """Pixels 0 to 1 to Ultralytics' ``[1, 4 + classes, anchors]``, centre boxes as shares times ``scale``."""

    def answer(pictures: Any) -> dict[str, Any]:
        tf, _ = tensorflow()
        corners, scores = find(pictures[0])
        both = tf.concat([sizes(corners) * tf.constant(scale * 2, tf.float32), tf.linalg.diag(scores)], axis=1)
        return {"output0": tf.transpose(tf.pad(both, [[0, 10], [0, 0]]))[None]}

    return answer


def rows(pictures: Any) -> dict[str, Any]:
    """Pixels 0 to 1 to YOLOv5's ``[1, anchors, 5 + classes]``."""
    tf, _ = tensorflow()
    corners, scores = find(pictures[0])
    both = tf.concat([sizes(corners), scores[:, None], tf.eye(2)], axis=1)
    return {"output0": tf.pad(both, [[0, 10], [0, 0]])[None]}


def ended(pictures: Any) -> dict[str, Any]:
    """Pixels 0 to 1, channels first, to ``[1, 12, 6]``: xmin, ymin, xmax, ymax in pixels of the input, score, class."""
    tf, _ = tensorflow()
    corners, scores = find(tf.transpose(pictures[0], (1, 2, 0)))
    boxes = corners * tf.constant([WIDTH, HEIGHT] * 2, tf.float32)
    found = tf.concat([boxes, scores[:, None], tf.constant([[0.0], [1.0]])], axis=1)
    return {"output0": tf.pad(found, [[0, 10], [0, 0]])[None]}


def renamed(data: bytes, names: Sequence[str] = (), metadata: bytes | None = None) -> bytes:
    """Without its signature; outputs are called ``names``, in the graph's order; ``metadata`` is put in."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools.flatbuffer_utils import convert_bytearray_to_object, convert_object_to_bytearray

    model = convert_bytearray_to_object(bytearray(data))
    model.signatureDefs = []
    graph = model.subgraphs[0]
    for place, name in zip(graph.outputs, names, strict=False):
        graph.tensors[place].name = name.encode()
    if metadata is not None:
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = list(metadata)
        entry.name, entry.buffer = b"TFLITE_METADATA", len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or []), entry]
    return bytes(convert_object_to_bytearray(model))


def with_files(data: bytes, files: Mapping[str, str]) -> bytes:
    """With a ZIP of text files behind it."""
    file = io.BytesIO(data)
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return file.getvalue()


def metadata(
    mean: Sequence[float], deviation: Sequence[float], names: Sequence[str] = (), label_file: str = "labels.txt"
) -> bytes:
    """A ModelMetadata: how the input is normalised, what outputs are called, the file with the classes' labels."""
    builder = flatbuffers.Builder(0)

    def vector(items: Sequence[int]) -> int:
        builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            builder.PrependUOffsetTRelative(item)
        return int(builder.EndVector())

    def floats(values: Sequence[float]) -> int:
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            builder.PrependFloat32(value)
        return int(builder.EndVector())

    def table(fields: Mapping[int, int], numbers: Mapping[int, int] | None = None) -> int:
        builder.StartObject(10)
        for field, value in fields.items():
            builder.PrependUOffsetTRelativeSlot(field, value, 0)
        for field, value in (numbers or {}).items():
            builder.PrependUint8Slot(field, value, 0)
        return int(builder.EndObject())

    unit = table({1: table({0: floats(mean), 1: floats(deviation)})}, {0: 1})
    labels = table({0: builder.CreateString(label_file)}, {2: 3})
    outputs = [table({0: builder.CreateString(name), 6: vector([labels])}) for name in names]
    graph = table({2: vector([table({4: vector([unit])})]), 3: vector(outputs)})
    builder.Finish(table({3: vector([graph])}), b"M001")
    return bytes(builder.Output())


def writer(make: Callable[[], bytes]) -> Callable[[Path], Path]:
    """Writes what ``make`` gives as ``model.tflite`` into a folder."""

    def write(folder: Path) -> Path:
        path = folder / "model.tflite"
        path.write_bytes(make())
        return path

    return write


def ssd() -> bytes:
    return convert(encoded(ssd_anchors(HEIGHT, WIDTH)))


def ultralytics() -> bytes:
    names = {"0": "a red thing", "1": "a green thing"}
    return with_files(convert(columns()), {"metadata.json": json.dumps({"names": names, "stride": 32})})

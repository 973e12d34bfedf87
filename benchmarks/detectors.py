"""The untrained models that ``predict.py`` runs: written here, loaded by detray and by a bare loop.

``small``: detray's own network of 256 x 192 px. ``mobilenet``: its RetinaNet on MobileNetV2, 320 x 320 px.
``saved_model``: that one as an export of the Object Detection API, which takes one picture of any size. ``tflite``: the
small network as floats, with TFLite's own post-processing behind it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detray.detectors.raw.decode import SSD_VARIANCE
from detray.detectors.retinanet.anchors import make_anchors
from detray.detectors.retinanet.export import saved_model
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, PredictSettings

SMALL = DetectorSettings()
MOBILENET = DetectorSettings(backbone="mobilenet_v2", input_height=320, input_width=320)
PREDICT = PredictSettings()


def _untrained(settings: DetectorSettings) -> RetinaNet:
    return RetinaNet(build_network(settings, 1), {1: "thing"}, settings, PREDICT, (), 0)


def _own(settings: DetectorSettings) -> Callable[[Path], dict[str, Any]]:
    def write(folder: Path) -> dict[str, Any]:
        for name, data in _untrained(settings).files().items():
            (folder / name).write_bytes(data)
        return {"path": str(folder)}

    return write


def _saved_model(folder: Path) -> dict[str, Any]:
    for name, data in saved_model(_untrained(MOBILENET)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {"kind": "saved_model", "path": str(folder / "saved_model")}


def _tflite(folder: Path) -> dict[str, Any]:
    tf, _ = tensorflow()
    network, anchors = build_network(SMALL, 1), make_anchors(SMALL) / ([SMALL.input_width, SMALL.input_height] * 2)
    centres, sizes = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    priors = tf.constant([*zip(*centres.T[::-1], *sizes.T[::-1], strict=True)], tf.float32)
    options = {"max_detections": PREDICT.max_detections, "max_classes_per_detection": 1, "num_classes": 1}
    scales = dict(zip(("y_scale", "x_scale", "h_scale", "w_scale"), (1 / part for part in SSD_VARIANCE), strict=True))
    scales |= {"nms_score_threshold": PREDICT.score_threshold, "nms_iou_threshold": PREDICT.nms.iou}
    stated = [f'"{key}" value {{ i: {value} }}' for key, value in options.items()]
    stated += [f'"{key}" value {{ f: {value} }}' for key, value in scales.items()]
    stated += ['"use_regular_nms" value { b: false }']
    operation = 'name: "TFLite_Detection_PostProcess" ' + " ".join(f"attr {{ key: {one} }}" for one in stated)

    @tf.function(autograph=False, experimental_implements=operation)
    def processed(boxes: Any, scores: Any, priors: Any) -> Any:
        n = PREDICT.max_detections
        return tf.zeros((1, n, 4)), tf.zeros((1, n)), tf.zeros((1, n)), tf.zeros((1,))

    shape = (1, SMALL.input_height, SMALL.input_width, 3)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32, "input")])
    def detect(pictures: Any) -> Any:
        raw = network(pictures, training=False)
        scores = tf.sigmoid(raw["logits"])
        encoded = tf.gather(raw["boxes"], [1, 0, 3, 2], axis=2)
        made = processed(encoded, tf.concat([1 - scores, scores], axis=2), priors)[::-1]
        return {f"output_{number}": values for number, values in enumerate(made)}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([detect.get_concrete_function()], network)
    converter.allow_custom_ops = True
    (folder / "model.tflite").write_bytes(converter.convert())
    return {"kind": "tflite", "path": str(folder / "model.tflite"), "io": {"input_range": "0..255"}}


MODELS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "small": _own(SMALL),
    "mobilenet": _own(MOBILENET),
    "saved_model": _saved_model,
    "tflite": _tflite,
}
"""By name: writes a model into a folder, and gives the configuration section ``detector``."""

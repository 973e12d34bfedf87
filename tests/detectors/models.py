"""Small models of every kind and family, made in tests: what `test_every_model` holds them to.

A finder answers with the box of what is red (255, 0, 0), and of what is green (0, 255, 0), in the picture that it is
given, so that its geometry and its classes are really tested.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras_models
import saved_models
import tflite_models as lite
from drawn import CLASSES, DETECTOR
from msgspec.structs import replace

from detray.detectors.io import IoSettings
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.settings import DetectorSettings, PredictSettings

BOTH = {"red": 0, "green": 1}
PREDICT = PredictSettings(batch_size=4, score_threshold=0.0, max_detections=7)


@dataclass(frozen=True)
class Model:
    """``make`` writes a model into a folder and gives its path.

    ``classes``: what it says of its classes; ``finds``: by colour (red, green) the id that a finder gives what has
    it, empty for a model that finds nothing.
    """

    name: str
    settings: DetectorSettings
    make: Callable[[Path], Path]
    classes: Mapping[int, str] = field(default_factory=dict)
    finds: Mapping[str, int] = field(default_factory=dict)

    def made(self, folder: Path) -> DetectorSettings:
        """Its settings, once it is written into ``folder``."""
        return replace(self.settings, path=str(self.make(folder)))


def _retinanet(folder: Path) -> Path:
    network = build_network(DETECTOR, 2, seed=3)
    for name, data in RetinaNet(network, CLASSES, DETECTOR, PREDICT, (), 0).files().items():
        (folder / name).write_bytes(data)
    return folder


PICTURES = (None, None, None, 3)
ONE_PICTURE = (1, None, None, 3)
FIXED = (None, *saved_models.SIDES, 3)
FROM_ONE, FROM_ZERO = {"red": 1, "green": 2}, {"red": 0, "green": 1}
SHARES = IoSettings(box_unit="share")
PIXELS = IoSettings(box_unit="input_pixel")
OWN_PIXELS = IoSettings(box_order="yxyx", box_unit="pixel")
CORNERS = IoSettings(box_order="xyxy", box_unit="input_pixel", input_range="0..1", resize="letterbox")
CORNERS_AS_SHARES = IoSettings(box_order="xyxy", box_unit="share", resize="stretch")
CENTRES = IoSettings(box_order="cxcywh", box_unit="share", input_range="0..1", resize="stretch")


def _saved(
    name: str,
    answer: saved_models.Answer,
    shape: tuple[int | None, ...] = PICTURES,
    dtype: str = "uint8",
    finds: Mapping[str, int] = FROM_ONE,
    io: IoSettings = IoSettings(),  # noqa: B008 - frozen
) -> Model:
    def make(folder: Path) -> Path:
        return saved_models.write(folder, answer, shape, dtype)

    return Model(name, DetectorSettings(kind="saved_model", io=io), make, finds=finds)


def _ultralytics(name: str, answer: saved_models.Answer) -> Model:
    classes = {0: "red", 1: "green"}

    def make(folder: Path) -> Path:
        (folder / "metadata.yaml").write_text("task: detect\nimgsz: [64, 96]\nnames: {0: red, 1: green}\n")
        return saved_models.write(folder, answer, (1, *FIXED[1:]), "float32", "images")

    return Model(name, DetectorSettings(kind="saved_model"), make, classes, FROM_ZERO)


SAVED_MODELS: tuple[Model, ...] = (
    _saved("api of one picture", saved_models.api, ONE_PICTURE),
    _saved("api of any batch", saved_models.api),
    _saved("api of floats", saved_models.api, dtype="float32"),
    _saved("api of encoded pictures", saved_models.api_of_texts(saved_models.decode_picture), (None,), "string"),
    _saved("api of examples", saved_models.api_of_texts(saved_models.decode_example), (None,), "string"),
    _saved("api through TF.js", saved_models.identities, ONE_PICTURE, "int32"),
    _saved("official.vision", saved_models.vision(), io=PIXELS),
    _saved("official.vision as shares", saved_models.vision(normalised=True), io=SHARES),
    _saved("official.vision without NMS", saved_models.vision(nms=False), (2, *PICTURES[1:]), io=PIXELS),
    _saved("named outputs", saved_models.keras, FIXED, "float32", FROM_ZERO, CORNERS),
    _saved("named logits", saved_models.keras_logits, FIXED, "float32", FROM_ZERO, CENTRES),
    _saved("as many as are found", saved_models.as_many, ONE_PICTURE, finds=FROM_ZERO, io=OWN_PIXELS),
    _ultralytics("Ultralytics", saved_models.ultralytics),
    _ultralytics("Ultralytics after NMS", saved_models.ultralytics_ended),
)


def _keras(
    name: str,
    answer: keras_models.Answer,
    finds: Mapping[str, int],
    io: IoSettings = IoSettings(),  # noqa: B008 - frozen
) -> Model:
    def make(folder: Path) -> Path:
        return keras_models.write(folder, answer, rescaled=bool(io.box_order))

    return Model(name, DetectorSettings(kind="keras", io=io), make, finds=finds)


_FLOATS = DetectorSettings(kind="tflite", io=IoSettings(input_range="-1..1"))
_TFLITE = DetectorSettings(kind="tflite")

MODELS: tuple[Model, ...] = (
    Model("retinanet", DETECTOR, _retinanet, CLASSES),
    *SAVED_MODELS,
    Model("tflite", _FLOATS, lite.writer(lambda: lite.convert(lite.suppressed())), finds=BOTH),
    Model("tflite batch 3", _FLOATS, lite.writer(lambda: lite.convert(lite.suppressed(), batch=3)), finds=BOTH),
    Model("tflite uint8", _TFLITE, lite.writer(lambda: lite.convert(lite.suppressed(), quantised="uint8")), finds=BOTH),
    Model("tflite ssd", _FLOATS, lite.writer(lite.ssd), finds=BOTH),
    Model("tflite faces", _TFLITE, lite.writer(lambda: lite.convert(lite.faces, width=64)), {0: "face"}, {"red": 0}),
    _keras("keras api", keras_models.api, FROM_ONE),
    _keras("keras named", keras_models.named, FROM_ZERO, CORNERS_AS_SHARES),
    Model("tflite ultralytics", _TFLITE, lite.writer(lite.ultralytics), {0: "a red thing", 1: "a green thing"}, BOTH),
)
"""Each adapter adds its own."""

"""Small models of every kind and family, made in tests: what `test_contract` holds them to.

A finder answers with the box of what is red (255, 0, 0), and of what is green (0, 255, 0), in the picture that it is
given, so that its geometry and its classes are really tested.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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


_FLOATS = DetectorSettings(kind="tflite", io=IoSettings(input_range="-1..1"))
_TFLITE = DetectorSettings(kind="tflite")

MODELS: tuple[Model, ...] = (
    Model("retinanet", DETECTOR, _retinanet, CLASSES),
    Model("tflite", _FLOATS, lite.writer(lambda: lite.convert(lite.suppressed())), finds=BOTH),
    Model("tflite batch 3", _FLOATS, lite.writer(lambda: lite.convert(lite.suppressed(), batch=3)), finds=BOTH),
    Model("tflite uint8", _TFLITE, lite.writer(lambda: lite.convert(lite.suppressed(), quantised="uint8")), finds=BOTH),
    Model("tflite ssd", _FLOATS, lite.writer(lite.ssd), finds=BOTH),
    Model("tflite faces", _TFLITE, lite.writer(lambda: lite.convert(lite.faces, width=64)), {0: "face"}, {"red": 0}),
    Model("tflite ultralytics", _TFLITE, lite.writer(lite.ultralytics), {0: "a red thing", 1: "a green thing"}, BOTH),
)
"""Each adapter adds its own."""

"""The detector of a ``.keras`` file."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from detray.detectors.detector import Prepare
from detray.detectors.inputs import preparation
from detray.detectors.io import Layout
from detray.detectors.keras.hub import (
    DFINE,
    RETINANET,
    HubRetinaNet,
    anchors_of,
    best_of_queries,
    read_hub,
    scaled,
)
from detray.detectors.keras.package import Package, read_package
from detray.detectors.runtime import tensorflow
from detray.detectors.saved_model.model import SavedModel
from detray.detectors.saved_model.resolve import read_family, settle
from detray.detectors.saved_model.signature import Signature
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.errors import DetrayError, UsageError


@dataclass(frozen=True)
class _Module:
    """A network as a SavedModel's module: its one signature gives outputs by name."""

    signatures: Mapping[str, Callable[..., Mapping[str, Any]]]


def load_keras(
    detector: DetectorSettings, path: str, predict: PredictSettings, *, trust_model: bool = False
) -> SavedModel:
    """The detector in the file ``path``.

    ``trust_model`` changes nothing: the file is read in Keras's safe mode, so that no code of it is run.

    Raises:
        DetrayError: it does not load so.
        UsageError: there is none, or it does not say what is needed.
    """
    package = read_package(path)
    signature, layout = _understood(package, detector)
    network = _load(package)
    if package.hub_class is None:
        module = _module(network, layout, lambda given: _by_name(given, list(signature.outputs)))
        return SavedModel(path, module, "pictures", {}, layout, predict, True)
    scale = scaled(network) if layout.input_range == "0..255" else lambda pixels: pixels
    if package.hub_class == DFINE:
        module = _module(network, layout, lambda given: best_of_queries(given, predict.max_detections), scale)
        return SavedModel(path, module, "pictures", {}, layout, predict, True)
    encoder = network.label_encoder
    height, width = layout.height, layout.width
    if height is None or width is None:
        raise UsageError(f"{path}: a {RETINANET} takes pictures of one size; detector.io.resize cannot be none")
    return HubRetinaNet(
        path=path,
        module=_module(network, layout, dict, scale),
        input_name="pictures",
        classes={},
        layout=layout,
        predict=predict,
        is_even=True,
        anchors=anchors_of(network, height, width),
        variance=tuple(map(float, encoder.box_variance)),
        y_first=encoder.encoding_format == "center_yxhw",
    )


def check_keras(detector: DetectorSettings, path: str, *, trust_model: bool) -> None:
    """Refuse what `load_keras` would, as far as is known without loading it.

    Raises:
        UsageError: as there, and where KerasHub is needed and not there.
        AmbiguousError: it may be read in several ways.
    """
    package = read_package(path)
    _understood(package, detector)
    _require_hub(package)


def read_keras_classes(detector: DetectorSettings, path: str) -> dict[int, str]:
    """Empty: Keras's files do not name classes.

    Raises:
        UsageError: there is no such model.
    """
    read_package(path)
    return {}


def read_keras_prepare(detector: DetectorSettings, path: str) -> Prepare:
    """How it takes its pictures."""
    return preparation(read_keras_layout(detector, path))


def read_keras_layout(detector: DetectorSettings, path: str) -> Layout:
    """What it takes and gives."""
    return _understood(read_package(path), detector)[1]


def _understood(package: Package, detector: DetectorSettings) -> tuple[Signature, Layout]:
    if package.hub_class is not None:
        signature, reading = read_hub(package)
        detector = replace(detector, io=replace(detector.io, box_order=None, box_unit=None))  # decoding settles them
    else:
        signature = package.signature()
        reading = read_family(package.path, signature, None, detector)
        if package.rescales:
            reading = dataclasses.replace(reading, input_range="0..255")
    return signature, settle(package.path, signature, reading, None, detector)


def _require_hub(package: Package) -> None:
    if package.needs_hub and find_spec("keras_hub") is None:
        raise UsageError(f"{package.path}: has layers of KerasHub, which is not installed: pip install detray[hub]")


def _load(package: Package) -> Any:
    """The network, in safe mode."""
    _require_hub(package)
    _, keras = tensorflow()
    if package.needs_hub:
        import keras_hub  # noqa: F401 - importing it makes its layers known to Keras
    with tempfile.TemporaryDirectory(prefix="detray-model-") as folder:
        file = Path(folder, "model.keras")
        file.write_bytes(package.data)
        try:
            return keras.models.load_model(file, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises almost anything on a file it does not like
            line = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise DetrayError(f"{package.path}: does not load in Keras's safe mode ({line[:200]})") from None


def _module(
    network: Any,
    layout: Layout,
    named: Callable[[Any], Mapping[str, Any]],
    scale: Callable[[Any], Any] = lambda pixels: pixels,
) -> _Module:
    def call(pictures: Any) -> Mapping[str, Any]:
        tf, _ = tensorflow()
        sides = (layout.height, layout.width) if layout.resize != "none" else (None, None)
        return named(network(scale(tf.ensure_shape(pictures, (None, *sides, 3))), training=False))

    return _Module({layout.signature: call})


def _by_name(given: Any, names: list[str]) -> Mapping[str, Any]:
    if isinstance(given, dict):
        return given
    return dict(zip(names, given if isinstance(given, (list, tuple)) else [given], strict=True))

"""Every kind of detector that detray runs."""

from pathlib import Path

from detray.detectors.detector import DetectorKind
from detray.detectors.keras import model as keras
from detray.detectors.retinanet import model as retinanet
from detray.detectors.saved_model import model as saved_model
from detray.detectors.settings import DetectorSettings
from detray.detectors.tflite import model as tflite
from detray.errors import UsageError
from detray.mirror import here, stated

DETECTORS: tuple[DetectorKind, ...] = (
    DetectorKind(
        name="retinanet",
        marker="model.json",
        load=retinanet.load_retinanet,
        read_classes=retinanet.read_retinanet_classes,
        read_prepare=retinanet.read_retinanet_prepare,
        is_trainable=True,
        reach=retinanet.reach,
        read_reach=retinanet.read_retinanet_reach,
    ),
    DetectorKind(
        name="saved_model",
        marker="saved_model.pb",
        load=saved_model.load_saved_model,
        read_classes=saved_model.read_saved_model_classes,
        read_prepare=saved_model.read_saved_model_prepare,
        read_layout=saved_model.read_saved_model_layout,
        check=saved_model.check_saved_model,
    ),
    DetectorKind(
        name="tflite",
        marker=".tflite",
        load=tflite.load_tflite,
        read_classes=tflite.read_tflite_classes,
        read_prepare=tflite.read_tflite_prepare,
        read_layout=tflite.read_tflite_layout,
        check=tflite.check_tflite,
        modules=("ai_edge_litert",),
        read_modules=("ai_edge_litert",),
    ),
    DetectorKind(
        name="keras",
        marker=".keras",
        load=keras.load_keras,
        read_classes=keras.read_keras_classes,
        read_prepare=keras.read_keras_prepare,
        read_layout=keras.read_keras_layout,
        check=keras.check_keras,
        read_modules=("keras",),  # whose files h5py reads
    ),
)


def detector_kind(settings: DetectorSettings) -> DetectorKind:
    """The kind of detector that is configured, where one is: not where `DetectorSettings.is_precomputed`."""
    return next(kind for kind in DETECTORS if kind.name == settings.kind)


def recognise(path: str) -> tuple[DetectorKind, str] | None:
    """The kind of the model at ``path``, a file or folder, local or a URI, and where it lies; None: it is no model.

    Exporters of the Object Detection API put the model into a folder ``saved_model``, ours into ``model``.
    """
    place = Path(here(path))
    for kind in DETECTORS:
        if kind.marker.startswith("."):
            if place.is_file() and place.name.endswith(kind.marker):
                return kind, path
            continue
        for folder in (place, place / "saved_model", place / "model"):
            if (folder / kind.marker).is_file():
                return kind, stated(str(folder))
    return None


def is_trainable(settings: DetectorSettings) -> bool:
    """Whether detray can train what is configured."""
    return not settings.is_precomputed and detector_kind(settings).is_trainable


def modules_of(settings: DetectorSettings) -> tuple[str, ...]:
    """What running the configured detector imports and a plain install leaves out."""
    return () if settings.is_precomputed else detector_kind(settings).modules


def require_trainable(settings: DetectorSettings, what: str) -> None:
    """Refuse detectors that detray cannot train.

    Raises:
        UsageError: saying that ``what`` needs one, and which these are.
    """
    if not is_trainable(settings):
        can = " or ".join(kind.name for kind in DETECTORS if kind.is_trainable)
        raise UsageError(
            f"detector.kind is {settings.kind}, which detray cannot train; {what} needs detector.kind {can}"
        )

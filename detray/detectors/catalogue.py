"""Every kind of detector that detray runs."""

from collections.abc import Callable
from dataclasses import dataclass

from detray.detectors.detector import Detector
from detray.detectors.retinanet import load_retinanet, read_retinanet_classes
from detray.detectors.settings import PredictSettings


@dataclass(frozen=True)
class DetectorKind:
    """A value of ``detector.kind``.

    ``load`` makes the detector of a path, in the process that runs it; ``read_classes`` gives its
    category_id to name without loading it. Both raise `DetrayError` where the path holds none.
    """

    name: str
    load: Callable[[str, PredictSettings], Detector]
    read_classes: Callable[[str], dict[int, str]]


DETECTORS: tuple[DetectorKind, ...] = (DetectorKind("retinanet", load_retinanet, read_retinanet_classes),)


def detector_kind(name: str) -> DetectorKind:
    """The kind called ``name``, which `DetectorSettings` has checked."""
    return next(kind for kind in DETECTORS if kind.name == name)

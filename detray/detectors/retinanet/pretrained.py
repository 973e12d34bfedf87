"""Weights from files, put into the layers that they are of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detray.arrays import Floats32
from detray.detectors.archive import MAX_UNPACKED
from detray.detectors.retinanet.freezing import backbone_layers
from detray.detectors.retinanet.layers import class_name
from detray.detectors.retinanet.network import build_network
from detray.detectors.settings import DetectorSettings
from detray.detectors.weights import Arrays, read_arrays
from detray.errors import UsageError
from detray.files import open_file
from detray.mirror import here

NETWORK_FILE = "model.keras"
"""The network of a model folder."""

Weights = Mapping[str, Sequence[Floats32]]
"""Arrays by layer name, in the order of Keras's ``layer.weights``."""


def require_weights(detector: DetectorSettings) -> None:
    """Refuse ``detector.weights`` that are of another backbone than ``detector.backbone``, before it is needed.

    Raises:
        UsageError: they are not there, cannot be read, or are of another backbone: which layers fit, and how many do
            not.
    """
    if detector.weights is not None:
        _fitting(backbone_layers(build_network(_plain(detector), 1)), detector)


def take_backbone(network: Any, detector: DetectorSettings) -> None:
    """Start the backbone of ``network`` from ``detector.weights``: arrays go by layer name; a classifier is ignored.

    Raises:
        As `require_weights`.
    """
    layers = backbone_layers(network)
    put(layers, _fitting(layers, detector))


def put(layers: Sequence[Any], weights: Weights) -> None:
    """Give ``layers`` their arrays."""
    for layer in layers:
        layer.set_weights(weights[layer.name])


def misfit(layers: Sequence[Any], weights: Weights) -> dict[str, str]:
    """Layers that ``weights`` do not fit, by name, and why."""
    found = {}
    for layer in layers:
        ours = [tuple(variable.shape) for variable in layer.weights]
        theirs = [array.shape for array in weights.get(layer.name, ())]
        if not theirs:
            found[layer.name] = "is not there"
        elif theirs != ours:
            found[layer.name] = f"has {_text(theirs)} where {_text(ours)} belong"
    return found


def _text(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(" x ".join(map(str, shape)) or "a number" for shape in shapes)


def _plain(detector: DetectorSettings) -> DetectorSettings:
    return DetectorSettings(
        backbone=detector.backbone, input_height=detector.input_height, input_width=detector.input_width
    )


def _fitting(layers: Sequence[Any], detector: DetectorSettings) -> Weights:
    """The arrays of the backbone's layers.

    Where a file of Keras 2 names them as the backbone's earlier version did, they are taken in their order.
    """
    place = f"detector.weights {detector.weights}"
    found = _read(str(detector.weights), place)
    weights = _by_name(layers, found)
    wrong = misfit(layers, weights)
    if wrong and found.layout == "ordered":
        ordered = dict(zip((layer.name for layer in layers), weights.values(), strict=False))
        if not misfit(layers, ordered):
            return ordered
    if not wrong:
        return weights
    fit = [layer.name for layer in layers if layer.name not in wrong]
    known = f" ({', '.join(fit[:3])}{', ...' if len(fit) > 3 else ''})" if fit else ""
    first, why = next(iter(wrong.items()))
    raise UsageError(
        f"{place}: not of the backbone {detector.backbone}: {len(fit)} of its {len(layers)} layers with weights"
        f" fit{known} and {len(wrong)} do not, of which the first, {first}, {why}"
    )


def _read(path: str, place: str) -> Arrays:
    try:
        path = here(path)
        with open_file(Path(path, NETWORK_FILE) if Path(path).is_dir() else path) as file:
            return read_arrays(file.read(MAX_UNPACKED + 1), place)
    except OSError as error:
        raise UsageError(f"{place}: cannot be read ({error.strerror}); check the path") from None


def _by_name(layers: Sequence[Any], found: Arrays) -> Weights:
    if found.layout != "numbered":
        return found.layers
    return {name: found.layers[where] for name, where in _numbered(layers).items() if where in found.layers}


def _numbered(layers: Sequence[Any]) -> dict[str, str]:
    """Where Keras keeps the arrays of the layers of one network: by class, numbered in their order."""
    counts: dict[str, int] = {}
    found = {}
    for layer in layers:
        kind = class_name(layer)
        number = counts.get(kind, 0)
        found[layer.name] = f"layers/{kind}_{number}" if number else f"layers/{kind}"
        counts[kind] = number + 1
    return found

"""Freezing depth as a count of units, from the stem upward: no layer names needed.

Units are what each of the backbone's pyramid levels needs beyond the one below, the feature pyramid, and the
head towers; the output convolutions always train.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import UsageError

BACKBONE = ("backbone_3", "backbone_4", "backbone_5")
UNITS = (*BACKBONE, "fpn", "head")
"""From the stem (in level 3) upward."""


def units_of(network: Any) -> dict[str, list[Any]]:
    """The layers of each of `UNITS`."""
    _, keras = tensorflow()
    units: dict[str, list[Any]] = {}
    below: set[str] = set()
    for unit in BACKBONE:
        level = network.get_layer(unit.replace("backbone", "fpn") + "_lateral").input
        needed = keras.Model(network.input, level).layers
        units[unit] = [layer for layer in needed if layer.name not in below]
        below |= {layer.name for layer in needed}
    for unit in ("fpn", "head"):
        units[unit] = [layer for layer in network.layers if layer.name.startswith(f"{unit}_")]
    return units


def backbone_layers(network: Any) -> list[Any]:
    """The innermost layers of the backbone that have weights, from the stem upward."""
    units = units_of(network)
    return [leaf for unit in BACKBONE for leaf in leaves(units[unit])]


def leaves(layers: Iterable[Any]) -> Iterator[Any]:
    """The layers with weights that ``layers`` are made of."""
    for layer in layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer.layers)
        elif layer.weights:
            yield layer


def freezes_norm(detector: DetectorSettings, settings: TrainSettings, network: Any) -> bool:
    """Whether the backbone's normalisation is frozen: statistics of small batches spoil those that weights bring."""
    if settings.freeze_norm is not None:
        return settings.freeze_norm
    _, keras = tensorflow()
    statistics = any(isinstance(layer, keras.layers.BatchNormalization) for layer in backbone_layers(network))
    return detector.weights is not None and statistics


def freeze(network: Any, units: int, norm: bool) -> tuple[str, ...]:
    """Freeze the first ``units`` of `UNITS` and, with ``norm``, the normalisation of the backbone.

    Batch normalisation that is frozen uses the statistics it has and leaves them alone.
    To be called before the training step is traced: afterwards the flags do nothing.

    Returns:
        The names of the frozen layers that have weights.

    Raises:
        UsageError: there are fewer units.
    """
    if units > len(UNITS):
        raise UsageError(f"train.freeze_units is {units} but the detector has {len(UNITS)} units: {', '.join(UNITS)}")
    _, keras = tensorflow()
    norms = tuple(getattr(keras.layers, f"{name}Normalization") for name in ("Batch", "Group", "Layer"))
    of_unit = units_of(network)
    frozen = [layer for unit in UNITS[:units] for layer in leaves(of_unit[unit])]
    if norm:
        frozen += [layer for unit in BACKBONE[units:] for layer in leaves(of_unit[unit]) if isinstance(layer, norms)]
    for layer in leaves(network.layers):
        layer.trainable = True
    for layer in frozen:
        layer.trainable = False
    return tuple(layer.name for layer in frozen)


def count_trainable(network: Any) -> int:
    """Numbers that the training may change."""
    return sum(int(variable.shape.num_elements()) for variable in network.trainable_variables)

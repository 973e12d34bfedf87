"""Freezing depth as a count of units, from the stem upward: no layer names needed.

Units are the backbone's pyramid levels, the feature pyramid, and the head towers; the output
convolutions always train.
"""

from typing import Any

from detray.errors import UsageError

UNITS = ("backbone_3", "backbone_4", "backbone_5", "fpn", "head")
"""Prefixes of layer names, from the stem (in level 3) upward."""


def freeze(network: Any, units: int, norm: bool) -> tuple[str, ...]:
    """Freeze the first ``units`` of `UNITS` and, with ``norm``, the normalisation layers of the others.

    To be called before the training step is traced: afterwards the flags do nothing.

    Returns:
        The names of the frozen layers that have weights.

    Raises:
        UsageError: there are fewer units.
    """
    if units > len(UNITS):
        raise UsageError(f"train.freeze_units is {units} but the detector has {len(UNITS)} units: {', '.join(UNITS)}")
    frozen = []
    for layer in network.layers:
        if not layer.weights:
            continue
        in_unit = layer.name.startswith(tuple(f"{unit}_" for unit in UNITS[:units]))
        layer.trainable = not (in_unit or (norm and "_norm" in layer.name))
        if not layer.trainable:
            frozen.append(layer.name)
    return tuple(frozen)


def count_trainable(network: Any) -> int:
    """Numbers that the training may change."""
    return sum(int(variable.shape.num_elements()) for variable in network.trainable_variables)

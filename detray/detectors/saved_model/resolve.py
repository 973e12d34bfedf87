"""From a signature, its family and what is stated to a layout; what stays open is said, not guessed."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from detray.detectors.ambiguous import AmbiguousError
from detray.detectors.io import BoxUnit, InputRange, IoSettings, Layout, Resize
from detray.detectors.saved_model.families import FAMILIES, Reading, of_outputs
from detray.detectors.saved_model.metadata import UltralyticsCard, read_card
from detray.detectors.saved_model.package import GRAPH, Package
from detray.detectors.saved_model.signature import Signature, read_signature
from detray.detectors.settings import DetectorSettings
from detray.errors import UsageError


def read_layout(package: Package, settings: DetectorSettings) -> Layout:
    """What the model takes and gives.

    Raises:
        UsageError: it is of no family that detray knows.
        AmbiguousError: it may be read in several ways.
    """
    signature, card = read_signature(package, settings.io.signature), read_card(package)
    reading = read_family(f"{package.path}/{GRAPH}", signature, card, settings)
    return settle(package.path, signature, reading, card, settings)


def settle(
    path: str, signature: Signature, reading: Reading, card: UltralyticsCard | None, settings: DetectorSettings
) -> Layout:
    """The layout of a signature that is read so.

    Raises:
        UsageError: what is stated does not fit it.
        AmbiguousError: it may be read in several ways.
    """
    readings = list(_layouts(signature, reading, card, settings))
    _require_fitting(path, signature, readings[0], settings.io)
    if len(readings) > 1:
        raise AmbiguousError.of(path, readings)
    return readings[0]


def read_family(place: str, signature: Signature, card: UltralyticsCard | None, settings: DetectorSettings) -> Reading:
    """What the family of a signature says, or what is stated of its outputs.

    Raises:
        UsageError: it is of no family that detray knows; ``place`` names it.
    """
    stated = settings.io.outputs
    gives = ", ".join(map(str, signature.outputs.values()))
    for role, name in stated.items():
        if name not in signature.outputs:
            raise UsageError(f"{place}: detector.io.outputs says that {role} is {name}, but the model gives {gives}")
    if stated:
        found = of_outputs("outputs as stated", stated, signature.outputs)
    else:
        found = next((reading for family in FAMILIES if (reading := family(signature, card))), None)
    if found is None and {"raw_boxes", "raw_scores"} <= set(signature.outputs):
        raise UsageError(
            f"{place}: its raw_boxes are offsets from anchors that it does not tell; export it with"
            " detection_generator.decode_boxes: true"
        )
    if found is None:
        raise UsageError(
            f"{place}: its signature {signature.name} gives {gives}, which is no detector's answer that detray knows;"
            " set detector.io.outputs to {boxes: ..., scores: ..., classes: ...}, or to boxes and logits"
        )
    return found


def _layouts(
    signature: Signature, reading: Reading, card: UltralyticsCard | None, settings: DetectorSettings
) -> Iterator[Layout]:
    """The layouts that the model may have: one where nothing is open."""
    io = settings.io
    is_text = signature.kind in ("picture", "example")
    batch, high, wide, _ = signature.sides
    resizes: tuple[Resize, ...]
    if is_text or (high is None and wide is None and reading.resize is None):
        resizes = ("none",)
    elif reading.resize is not None or reading.box_unit == "share":
        resizes = (reading.resize or "stretch",)
    else:
        resizes = ("stretch", "letterbox", "crop")
    resizes = resizes if io.resize is None else (io.resize,)
    ranges: tuple[InputRange, ...] = (reading.input_range,) if reading.input_range else ("0..255", "0..1", "-1..1")
    ranges = ranges if signature.kind in ("float32", "float16") else ("0..255",)
    units: tuple[BoxUnit, ...] = (
        ("share", "input_pixel") if "info" in reading.outputs or resizes != ("none",) else ("share", "pixel")
    )
    choices: Mapping[str, tuple[Any, ...]] = {
        "resize": resizes,
        "input_range": ranges if io.input_range is None else (io.input_range,),
        "box_order": _open(io.box_order or reading.box_order, "yxyx", "xyxy", "xywh", "cxcywh"),
        "box_unit": _open(io.box_unit or reading.box_unit, *units),
    }
    size = (card.size if card else None) or (settings.input_height, settings.input_width)
    for values in product(*choices.values()):
        fields = dict(zip(choices, values, strict=True))
        is_resized = fields["resize"] != "none"
        yield Layout(
            family=reading.family,
            signature=signature.name,
            input=signature.kind,
            batch=io.batch or batch,
            height=(high or size[0]) if is_resized else None,
            width=(wide or size[1]) if is_resized else None,
            class_base=reading.class_base if io.class_base is None else io.class_base,
            suppresses=reading.suppresses,
            outputs=reading.outputs,
            **fields,
        )


def _require_fitting(place: str, signature: Signature, layout: Layout, io: IoSettings) -> None:
    """Refuse what is stated where the signature takes something else."""
    batch, high, wide, _ = signature.sides
    if batch is not None and layout.batch != batch:
        raise UsageError(f"{place}: detector.io.batch is {layout.batch}, but it takes {signature.input}")
    if layout.resize == "none" and (high, wide) != (None, None):
        raise UsageError(f"{place}: detector.io.resize is none, but it takes {signature.input}: this size only")
    if signature.kind not in ("float32", "float16") and layout.input_range != "0..255":
        raise UsageError(f"{place}: detector.io.input_range is {layout.input_range}, but it takes {signature.input}")
    if io.anchors is not None:
        raise UsageError(f"{place}: detector.io.anchors is for TFLite files whose boxes are not decoded")


def _open(told: Any, *values: Any) -> tuple[Any, ...]:
    return values if told is None else (told,)

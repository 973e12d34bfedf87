"""Which family a signature is of, and what that says of its outputs. A family that does not fit gives None."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from detray.detectors.io import BoxOrder, BoxUnit, ClassBase, InputRange, Resize, Role
from detray.detectors.saved_model.metadata import UltralyticsCard
from detray.detectors.saved_model.signature import Port, Signature

Ports = Mapping[str, Port]
Outputs = dict[Role, str]


@dataclass(frozen=True)
class Reading:
    """What a family says; None: the signature does not tell."""

    family: str
    outputs: Outputs
    suppresses: bool
    class_base: ClassBase
    box_order: BoxOrder | None = None
    box_unit: BoxUnit | None = None
    resize: Resize | None = None
    input_range: InputRange | None = None


def ultralytics(signature: Signature, card: UltralyticsCard | None) -> Reading | None:
    """One output: a column of centre, size and scores for each anchor, or six numbers for each detection.

    The latter are Ultralytics' only if its metadata.yaml lies beside the model: others give such rows too.
    Source: Ultralytics' exporter.
    """
    if len(signature.outputs) != 1 or signature.kind in ("picture", "example"):
        return None
    name, port = next(iter(signature.outputs.items()))
    return _fused("Ultralytics", name, port, card)


def _fused(family: str, name: str, port: Port, card: UltralyticsCard | None) -> Reading | None:
    """Boxes, scores and classes in one output ``[b, n, 6]`` or, for each anchor, ``[b, 4 + c, n]``."""
    if port.shape is None or len(port.shape) != 3:
        return None
    _, rows, columns = port.shape
    outputs: Outputs = {"boxes": name}
    stated = None if card is None else 4 + len(card.names)
    if columns == 6 and rows != stated:
        if card is None:
            return Reading("rows of six numbers", outputs, True, 0)
        return Reading(family, outputs, True, 0, "xyxy", "input_pixel", "letterbox", "0..1")
    if rows is None or (rows != stated if stated else rows <= 4 or (columns is not None and columns <= rows)):
        return None
    return Reading(family, outputs, False, 0, "cxcywh", "input_pixel", "letterbox", "0..1")


def official_vision(signature: Signature, card: UltralyticsCard | None) -> Reading | None:
    """official.vision's exports: boxes of the resized picture, or as shares where the export was told so.

    Source: ``official/vision/serving/detection.py``.
    """
    ports = signature.outputs
    with_nms = {"detection_boxes", "detection_scores", "detection_classes"} <= set(ports) and "image_info" in ports
    without = {"decoded_boxes", "decoded_box_scores"} <= set(ports)
    if not with_nms and not without:
        return None
    outputs: Outputs = _api_outputs(ports) if with_nms else {"boxes": "decoded_boxes", "scores": "decoded_box_scores"}
    if "image_info" in ports:
        outputs["info"] = "image_info"
    return Reading("official.vision", outputs, with_nms, 1, "yxyx", None, None, "0..255")


def object_detection_api(signature: Signature, card: UltralyticsCard | None) -> Reading | None:
    """The TF2 Object Detection API's exports (``exporter_lib_v2.py``), and TF1's."""
    if not {"detection_boxes", "detection_scores", "detection_classes"} <= set(signature.outputs):
        return None
    return _api("Object Detection API", _api_outputs(signature.outputs))


def identities(signature: Signature, card: UltralyticsCard | None) -> Reading | None:
    """The same after TF.js: Identity, Identity_1, ... in the alphabetical order of the API's names.

    Which of the optional outputs are there is found by their shapes; where several choices fit, they must agree.
    """
    numbers = {name: re.fullmatch(r"Identity(?:_(\d+))?(?::0)?", name) for name in signature.outputs}
    if not all(numbers.values()):
        return None
    ordered = sorted(signature.outputs, key=lambda name: int((numbers[name] or [0, 0])[1] or 0))
    found = {tuple(sorted(outputs.items())) for outputs in _alphabetical(ordered, signature.outputs)}
    return _api("Object Detection API through TF.js", dict(next(iter(found)))) if len(found) == 1 else None


def named(signature: Signature, card: UltralyticsCard | None) -> Reading | None:
    """Outputs that are called what they are, as Keras models export them."""
    outputs: Outputs = {}
    for name, port in signature.outputs.items():
        role = next((role for role, names in _NAMES.items() if name.lower() in names), None)
        if role == "classes" and port.shape is not None and len(port.shape) == 3:
            role = "scores"  # one for each class
        if role is not None and role not in outputs:
            outputs[role] = name
    return of_outputs("named outputs", outputs, signature.outputs)


def of_outputs(family: str, outputs: Mapping[Role, str], ports: Ports) -> Reading | None:
    """What is said by which output is what alone; None where that is not enough."""
    if set(outputs) == {"boxes"}:
        return _fused(family, outputs["boxes"], ports[outputs["boxes"]], None)
    if "boxes" not in outputs or not ports[outputs["boxes"]].fits(None, None, 4):
        return None
    kept: Outputs = dict(outputs)
    if "scores" in kept and "classes" in kept:
        return Reading(family, kept, True, 0)
    if "scores" in kept or "logits" in kept:
        kept.pop("classes", None)
        return Reading(family, kept, False, 0)
    return None


FAMILIES: tuple[Callable[[Signature, UltralyticsCard | None], Reading | None], ...] = (
    official_vision,
    object_detection_api,
    identities,
    named,
    ultralytics,
)
"""In the order in which they are tried."""

_NAMES: Mapping[Role, frozenset[str]] = {
    "boxes": frozenset(("boxes", "box", "bboxes", "bounding_boxes", "pred_boxes", "detected_boxes")),
    "scores": frozenset(("scores", "score", "confidence", "confidences", "probabilities", "detected_scores")),
    "classes": frozenset(("classes", "class", "labels", "class_ids", "category_ids", "detected_classes")),
    "count": frozenset(("num_detections", "valid_detections", "count", "num_boxes")),
    "logits": frozenset(("logits", "pred_logits", "class_logits")),
}
_NEEDED = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
_SHAPES: Mapping[str, tuple[int | None, ...]] = {
    "detection_anchor_indices": (None, None),
    "detection_boxes": (None, None, 4),
    "detection_classes": (None, None),
    "detection_keypoint_scores": (None, None, None),
    "detection_keypoints": (None, None, None, 2),
    "detection_masks": (None, None, None, None),
    "detection_multiclass_scores": (None, None, None),
    "detection_scores": (None, None),
    "num_detections": (None,),
    "raw_detection_boxes": (None, None, 4),
    "raw_detection_scores": (None, None, None),
}
"""The API's outputs in their alphabetical order."""


def _api(family: str, outputs: Outputs) -> Reading:
    return Reading(family, outputs, True, 1, "yxyx", "share", None, "0..255")


def _api_outputs(ports: Ports) -> Outputs:
    outputs: Outputs = {"boxes": "detection_boxes", "scores": "detection_scores", "classes": "detection_classes"}
    return outputs | ({"count": "num_detections"} if "num_detections" in ports else {})


def _alphabetical(ordered: list[str], ports: Ports) -> Iterator[Outputs]:
    """Roles under each choice of the API's outputs that has as many and whose shapes fit."""
    optional = [name for name in _SHAPES if name not in _NEEDED]
    for more in combinations(optional, max(0, len(ordered) - len(_NEEDED))):
        names = [name for name in _SHAPES if name in _NEEDED or name in more]
        if len(names) == len(ordered) and all(
            ports[port].fits(*_SHAPES[name]) for port, name in zip(ordered, names, strict=True)
        ):
            place = dict(zip(names, ordered, strict=True))
            yield {role: place[name] for role, name in _api_outputs({"num_detections": ports[ordered[0]]}).items()}

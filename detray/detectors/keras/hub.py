"""KerasHub's detectors by their raw outputs.

Their own ``predict`` fails at a second batch size, and their converter cuts pictures to the input's aspect: pixels are
prepared and boxes decoded here, with the scales and anchors that the file states.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detray.arrays import Floats
from detray.detectors.answers import Answer
from detray.detectors.io import Resize
from detray.detectors.keras.package import Package
from detray.detectors.raw.decode import from_deltas, sigmoid
from detray.detectors.raw.select import above
from detray.detectors.runtime import tensorflow
from detray.detectors.saved_model.families import Reading
from detray.detectors.saved_model.model import Outputs, SavedModel
from detray.detectors.saved_model.signature import Port, Signature
from detray.errors import UsageError

RETINANET, DFINE = "RetinaNetObjectDetector", "DFineObjectDetector"


def read_hub(package: Package) -> tuple[Signature, Reading]:
    """What a detector of KerasHub takes and gives, by its configuration.

    Raises:
        UsageError: it is another of KerasHub's models.
    """
    config, name = package.config.get("config", {}), package.hub_class
    if name not in (RETINANET, DFINE):
        raise UsageError(f"{package.path}: a {name} of KerasHub; of its models {RETINANET} and {DFINE} are detectors")
    converter = _inner(config, "preprocessor", "image_converter")
    size = converter.get("image_size") or (_inner(config, "backbone").get("image_shape") or [None, None])[:2]
    sides = tuple(side if isinstance(side, int) else None for side in size)
    keeps = converter.get("crop_to_aspect_ratio") or converter.get("pad_to_aspect_ratio")
    resize: Resize = "letterbox" if keeps else "stretch"
    signature = Signature("", Port("images", "float32", (None, *sides, 3)), "float32", {})
    raw = name == RETINANET
    reading = Reading(
        family="KerasHub RetinaNet" if raw else "KerasHub D-FINE",
        outputs={"boxes": "bbox_regression", "logits": "cls_logits"}
        if raw
        else {"boxes": "boxes", "scores": "scores", "classes": "classes"},
        suppresses=not raw,
        class_base=0,
        box_order="xyxy" if raw else "cxcywh",
        box_unit="input_pixel" if raw else "share",
        resize=resize,
        input_range="0..255" if converter else None,
    )
    return signature, reading


def _inner(config: Any, *names: str) -> Mapping[str, Any]:
    """The configuration of an object within another's; empty where there is none."""
    for name in names:
        part = config.get(name) if isinstance(config, dict) else None
        config = part.get("config") if isinstance(part, dict) else None
    return config if isinstance(config, dict) else {}


@dataclass(frozen=True)
class HubRetinaNet(SavedModel):
    """A RetinaNet of KerasHub. ``anchors``: ``[a, 4]``, centre x, centre y, width, height in px of the input."""

    anchors: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    variance: tuple[float, ...] = (1, 1, 1, 1)
    y_first: bool = False

    def _answer(self, given: Outputs) -> Answer:
        """Deltas are decoded as they were encoded in training; KerasHub's own decoder leaves the variance out."""
        scores = sigmoid(given["logits"])
        rows = above(scores, self.predict)
        deltas = given["boxes"][rows][:, [1, 0, 3, 2] if self.y_first else [0, 1, 2, 3]]
        return self._selected(from_deltas(deltas, self.anchors[rows], self.variance), scores[rows])


def anchors_of(network: Any, height: int, width: int) -> Floats:
    """The anchors of a RetinaNet for an input of ``height`` x ``width`` px, from its own generator."""
    generator = network.anchor_generator
    inside = type(generator)(**generator.get_config() | {"bounding_box_format": "xyxy"})
    levels = inside(np.zeros((1, height, width, 3), np.float32))
    corners = np.concatenate([np.asarray(level, np.float64) for level in levels.values()])
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)


def scaled(network: Any) -> Callable[[Any], Any]:
    """Pixels of 0 to 255 as the network takes them, by the scale and offset of its preprocessor."""
    converter = getattr(getattr(network, "preprocessor", None), "image_converter", None)
    scale = 1.0 if converter is None or converter.scale is None else np.array(converter.scale, np.float32)
    offset = 0.0 if converter is None or converter.offset is None else np.array(converter.offset, np.float32)
    return lambda pixels: pixels * scale + offset


def best_of_queries(outputs: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Of a D-FINE's queries and classes the best scores ``[b, most]`` with their boxes: it is trained to find each
    object once, and nothing is suppressed.

    Source: Peng et al., D-FINE, 2024, and its ``DFINEPostProcessor``.
    """
    tf, _ = tensorflow()
    logits = outputs["logits"]
    classes = logits.shape[2]
    scores, place = tf.math.top_k(
        tf.reshape(tf.sigmoid(logits), (-1, logits.shape[1] * classes)), min(most, logits.shape[1] * classes)
    )
    boxes = tf.gather(outputs["pred_boxes"], place // classes, batch_dims=1)
    return {"boxes": boxes, "scores": scores, "classes": place % classes}

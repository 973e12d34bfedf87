"""What a TFLite file takes and gives: resolved from the file, and from ``detector.io`` where that is set."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from detray.arrays import Floats32
from detray.detectors.ambiguous import AmbiguousError
from detray.detectors.detector import Prepare
from detray.detectors.inputs import preparation
from detray.detectors.io import BoxOrder, BoxUnit, InputRange, IoSettings, Layout, Resize
from detray.detectors.ranges import RANGES, Scaling
from detray.detectors.raw.anchors import mediapipe_anchors, read_anchors, ssd_anchors
from detray.detectors.raw.yolo import is_columns
from detray.detectors.tflite.families import Decoded, Faces, Family, Ssd, Suppressed, Yolo, YoloEnded
from detray.detectors.tflite.metadata import read_metadata
from detray.detectors.tflite.program import Program, Tensor
from detray.detectors.tflite.roles import Roles, find_roles, stated_outputs
from detray.errors import UsageError

FACE = {0: "face"}
"""The class of MediaPipe's face detectors."""
GREY, BLACK = 114, 0
"""What is around letterboxed pictures: Ultralytics', and MediaPipe's ``BORDER_ZERO``."""

MOST_ENDED = 1000
"""Rows of an output ``[n, 6]`` from which they are YOLOv5's anchors with one class, where no names tell."""
OPEN_RANGES: tuple[InputRange, ...] = ("-1..1", "vgg", "torch", "0..255", "0..1")
"""What the Object Detection API's exports take with MobileNet, ResNet, EfficientDet and CenterNet; and others."""
QUANTISED_RANGES: tuple[InputRange, ...] = ("0..255", "0..1", "-1..1", "torch", "vgg")
RANGE_SLACK = 0.15
"""Of a range's span: pictures that a model is calibrated with rarely fill it."""
_YOLO: tuple[Resize, InputRange] = ("letterbox", "0..1")


@dataclass(frozen=True)
class _Reading:
    """A family, and what holds for it where ``detector.io`` does not say otherwise."""

    family: Family
    name: str
    order: BoxOrder = "yxyx"
    unit: BoxUnit = "share"
    resize: Resize = "stretch"
    input_range: InputRange | None = None
    fill: int = GREY
    suppresses: bool = True
    classes: Mapping[int, str] | None = None


class TfliteModel:
    """A TFLite file, understood."""

    def __init__(self, data: bytes, place: str, io: IoSettings) -> None:
        """The file's content, which ``place`` names.

        Raises:
            DetrayError: it is damaged or does not run.
            UsageError: it does not say what is needed; the sentence names the setting.
        """
        self.program = Program(data, place)
        self._data, self._io = data, io
        self.input = _picture_input(self.program)
        self.metadata = read_metadata(data)
        takes = f"it takes {self.input.name} {list(self.input.shape)}"
        if io.batch not in (None, self.input.shape[0]):
            raise UsageError(f"{place}: detector.io.batch is {io.batch}, but {takes}")
        if io.resize == "none":
            raise UsageError(f"{place}: detector.io.resize is none, but {takes}: this size only")

    @property
    def channels_first(self) -> bool:
        return self.input.shape[3] != 3

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input, px."""
        sides = self.input.shape[2:] if self.channels_first else self.input.shape[1:3]
        return sides[0], sides[1]

    @cached_property
    def _reading(self) -> _Reading:
        found = _read_outputs(self, self._data, self._io)
        if self._io.anchors is not None and not isinstance(found.family, Ssd):
            raise UsageError(f"{self.program.place}: detector.io.anchors is set, but its boxes are decoded")
        return found

    @property
    def family(self) -> Family:
        return self._reading.family

    @property
    def classes(self) -> Mapping[int, str]:
        """Names by id from `class_base`; empty where the file has none."""
        names = self.metadata.classes or self._reading.classes or {}
        return {number + (self._io.class_base or 0): name for number, name in names.items()}

    @cached_property
    def scaling(self) -> Scaling | None:
        """From pixels to real values of the input; None: nothing says it."""
        if self._io.input_range is not None:
            return RANGES[self._io.input_range]
        if self.metadata.scaling is not None:
            return self.metadata.scaling
        if self.input.dtype.kind != "f":
            return scaling_of(self.input)
        return None if self._reading.input_range is None else RANGES[self._reading.input_range]

    @cached_property
    def layout(self) -> Layout:
        """All of it, for a person too.

        Raises:
            AmbiguousError: it takes floats, and nothing says of which range.
        """
        if self.scaling is None:
            raise AmbiguousError.of(self.program.place, [self._layout(name) for name in OPEN_RANGES])
        return self._layout(self.scaling.name)

    def _layout(self, input_range: InputRange | Literal["own"]) -> Layout:
        io, reading, tensor = self._io, self._reading, self.input
        height, width = self.size
        return Layout(
            family=reading.name,
            signature=io.signature or next(iter(self.program.signatures), ""),
            input=tensor.dtype.name,
            batch=tensor.shape[0],
            height=height,
            width=width,
            resize=io.resize or reading.resize,
            input_range=input_range,
            box_order=reading.order,
            box_unit=reading.unit,
            class_base=io.class_base or 0,
            suppresses=reading.suppresses,
            outputs=dict(io.outputs),
        )

    def prepares(self, layout: Layout) -> Prepare:
        """How pictures become its input."""
        return preparation(layout, self._reading.fill)

    def trial(self) -> dict[int, Floats32]:
        """What comes out for noise."""
        noise = np.random.default_rng(0).normal(size=self.input.shape)
        is_float = self.input.dtype.kind == "f"
        return self.program.run((noise if is_float else np.clip(noise * 50, -100, 100)).astype(self.input.dtype))


def _picture_input(program: Program) -> Tensor:
    """The one input, a batch of RGB pictures."""
    shapes = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in program.inputs)
    tensor = program.inputs[0] if len(program.inputs) == 1 else None
    if tensor is None or len(tensor.shape) != 4 or 3 not in (tensor.shape[1], tensor.shape[3]):
        raise UsageError(f"{program.place}: takes {shapes}; a detector takes pictures [batch, height, width, 3]")
    if min(tensor.shape) < 1 or sorted(tensor.shape[1:])[1] < 2:
        raise UsageError(f"{program.place}: takes pictures of no fixed size ({shapes}); convert it with one")
    if tensor.dtype.name not in ("float32", "uint8", "int8"):
        raise UsageError(f"{program.place}: takes {tensor.dtype.name}; floats, uint8 and int8 are what detray gives")
    return tensor


def scaling_of(tensor: Tensor) -> Scaling:
    """How pixels are scaled for a quantised input: by the range whose ends its 256 steps have, nearly; where none does,
    each level of a pixel is a step."""
    if not tensor.scale:
        return RANGES["0..255"]
    limits = np.iinfo(tensor.dtype)
    low, high = ((limit - tensor.zero_point) * tensor.scale for limit in (limits.min, limits.max))
    for name in QUANTISED_RANGES:
        ends = min(RANGES[name].ends(0)), max(RANGES[name].ends(255))
        if max(abs(low - ends[0]), abs(high - ends[1])) <= RANGE_SLACK * (ends[1] - ends[0]):
            return RANGES[name]
    return Scaling((tensor.scale,) * 3, (low,) * 3)


def _read_outputs(model: TfliteModel, data: bytes, io: IoSettings) -> _Reading:
    program, metadata = model.program, model.metadata
    roles = find_roles(
        program, data, io.outputs, metadata.outputs, io.signature, model.trial, is_yolo=metadata.yolo is not None
    )
    if roles is not None:
        return _suppressed(model, roles, io)
    shapes = [tensor.shape for tensor in program.outputs]
    if len(shapes) == 1 and len(shapes[0]) == 3 and min(shapes[0][1:]) > 4:
        return _yolo(model, program.outputs[0], io)
    if len(shapes) == 2 or {"boxes", "logits"} <= set(io.outputs) or {"boxes", "scores"} <= set(io.outputs):
        return _raw(model, io)
    given = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in program.outputs)
    raise UsageError(
        f"{program.place}: gives {given}, which is no detector's output that detray knows; where boxes, scores and"
        " classes are among them, name them in detector.io.outputs"
    )


def _suppressed(model: TfliteModel, roles: Roles, io: IoSettings) -> _Reading:
    most = roles["boxes"].shape[1]
    if model.metadata.yolo is not None:
        name = f"YOLOv5, at most {most} detections"
        return _Reading(Suppressed(roles), name, io.box_order or "xyxy", io.box_unit or "share", *_YOLO)
    name = f"post-processed, at most {most} detections"
    return _Reading(Suppressed(roles), name, io.box_order or "yxyx", io.box_unit or "share")


def _yolo(model: TfliteModel, output: Tensor, io: IoSettings) -> _Reading:
    """Ultralytics' exports, boxes as shares of the input, but for those after suppression of the newer exporter."""
    names = len(model.metadata.classes) or None
    rows, columns = output.shape[1:]
    if columns == 6 < rows and (names or 0) != 1 and (names is not None or rows <= MOST_ENDED):
        unit = io.box_unit or ("input_pixel" if model.channels_first else "share")
        name = "Ultralytics with suppression"
        return _Reading(YoloEnded(output.index), name, io.box_order or "xyxy", unit, *_YOLO)
    name = "Ultralytics" if is_columns((rows, columns), names) else "YOLOv5"
    order = io.box_order or "cxcywh"
    family = Yolo(output.index, names, order)
    return _Reading(family, name, order, io.box_unit or "share", *_YOLO, suppresses=False)


def _raw(model: TfliteModel, io: IoSettings) -> _Reading:
    """Boxes and a score for each anchor, whose anchors are known, given, or not needed."""
    program, (height, width) = model.program, model.size
    boxes, scores = _boxes_and_scores(program, io)
    shapes = f"{list(boxes.shape)} and {list(scores.shape)}"
    if len(boxes.shape) != 3 or len(scores.shape) != 3 or boxes.shape[1] != scores.shape[1]:
        raise UsageError(
            f"{program.place}: gives {shapes}; detray reads boxes [batch, anchors, 4] with scores [batch, anchors,"
            " classes]; where others are among its outputs, name them in detector.io.outputs"
        )
    count, sides = boxes.shape[1:]
    faces = mediapipe_anchors(count) if sides == 16 and scores.shape[2] == 1 else None
    if faces is not None:
        family: Family = Faces(boxes.index, scores.index, faces, width, height)
        return _Reading(
            family, "MediaPipe faces", "xyxy", "share", "letterbox", "-1..1", BLACK, suppresses=False, classes=FACE
        )
    values = model.trial()[scores.index]
    is_logits = "logits" in io.outputs or bool(((values < 0) | (values > 1)).any())
    anchors = ssd_anchors(height, width) if io.anchors is None else read_anchors(io.anchors)
    if sides == 4 and len(anchors) != count and io.anchors is None and io.box_order is not None:
        family = Decoded(boxes.index, scores.index, is_logits, io.box_order)
        return _Reading(family, "decoded boxes and scores", io.box_order, io.box_unit or "share", suppresses=False)
    if sides != 4 or len(anchors) != count:
        has = f"; {io.anchors} has {len(anchors)}" if io.anchors else ""
        raise UsageError(
            f"{program.place}: gives {shapes} for {count} anchors that are not in the file{has}; name a file of them in"
            " detector.io.anchors, or where its boxes are decoded say how in detector.io.box_order"
        )
    family = Ssd(boxes.index, scores.index, is_logits, anchors)
    return _Reading(family, "SSD without post-processing", "xyxy", suppresses=False)


def _boxes_and_scores(program: Program, io: IoSettings) -> tuple[Tensor, Tensor]:
    """As stated; else boxes have four numbers, or sixteen with the points of a face.

    Raises:
        UsageError: both outputs have.
    """
    stated = stated_outputs(program, io.outputs, io.signature) if io.outputs else {}
    boxes, scores = stated.get("boxes"), stated.get("logits") or stated.get("scores")
    if boxes is not None and scores is not None:
        return boxes, scores
    able = [tensor for tensor in program.outputs if tensor.shape[2:] in ((4,), (16,))]
    named = [tensor for tensor in able if "box" in tensor.name.lower() or "regress" in tensor.name.lower()]
    boxes = able[0] if len(able) == 1 else named[0] if len(named) == 1 else None
    if boxes is None:
        given = " and ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in program.outputs)
        raise UsageError(
            f"{program.place}: gives {given}; detray reads boxes [batch, anchors, 4] with scores [batch, anchors,"
            " classes]; which is which is set in detector.io.outputs: {boxes: ..., scores: ...}"
        )
    return boxes, next(tensor for tensor in program.outputs if tensor is not boxes)

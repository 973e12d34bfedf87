"""Which of four outputs are the boxes, scores, classes and the count, of models that suppress by themselves.

Their order changed with TensorFlow 2.6 (tensorflow issue 52259, models issue 10970), so it is never gone by.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from detray.arrays import Floats32
from detray.detectors.io import Role
from detray.detectors.tflite.program import Program, Tensor
from detray.errors import UsageError

Roles = dict[Role, Tensor]

POSTPROCESS = b"TFLite_Detection_PostProcess"
_OF_POSTPROCESS: tuple[Role, ...] = ("boxes", "classes", "scores", "count")
"""The order of that operation's own outputs (``detection_postprocess.cc``)."""
_OF_EXPORT: tuple[Role, ...] = ("count", "scores", "classes", "boxes")
"""Of output_0 to output_3 of the Object Detection API (``export_tflite_graph_lib_tf2.py``), which reverses them."""
_OF_COMBINED: tuple[Role, ...] = ("boxes", "scores", "classes", "count")
"""Of ``tf.image.combined_non_max_suppression``, which YOLOv5's exports end with."""
_BY_NAME: Mapping[str, Role] = {
    **dict.fromkeys(("location", "locations", "boxes", "detection_boxes"), "boxes"),
    **dict.fromkeys(("score", "scores", "detection_scores", "confidence"), "scores"),
    **dict.fromkeys(("category", "categories", "classes", "labels", "detection_classes"), "classes"),
    **dict.fromkeys(("number of detections", "count", "num_detections", "num_boxes", "valid_detections"), "count"),
}
"""Names in TFLite's metadata, and what people call such outputs."""


def find_roles(
    program: Program,
    data: bytes,
    stated: Mapping[Role, str],
    described: tuple[str, ...],
    signature: str | None,
    probe: Callable[[], Mapping[int, Floats32]],
    *,
    is_yolo: bool,
) -> Roles | None:
    """The roles of the outputs; None where boxes ``[1, n, 4]`` with scores and classes ``[1, n]`` are not there.

    By what is stated; else by the operation that makes them, names in the metadata, names in the signature, the
    numbers of their names, each only where the shapes agree; else by shape, and by the values of a trial.

    Args:
        program: the model.
        data: its file.
        stated: ``detector.io.outputs``.
        described: names of the outputs in the metadata.
        signature: the one to go by; None: the first.
        probe: runs the model once, for outputs that nothing else tells apart.
        is_yolo: its metadata are of YOLOv5 or Ultralytics.

    Raises:
        UsageError: what is stated is not there or does not fit, or not even the values tell scores from classes.
    """
    own = stated_outputs(program, stated, signature)
    if {"boxes", "scores", "classes"} <= set(own):
        return _fitting(own, program)
    outputs = {tensor.index: tensor for tensor in program.outputs}
    if sum(_is_boxes(tensor) for tensor in program.outputs) != 1:
        return None
    named = _signature(program, signature)
    for numbers in _readings(program, data, described, named, _OF_COMBINED if is_yolo else _OF_EXPORT):
        found: Roles = {role: outputs[index] for role, index in numbers.items() if index in outputs} | own
        if _fits(found):
            return found
    by_values = _by_values(program, probe)
    return None if by_values is None else _fitting(by_values | own, program)


def _fitting(stated: Roles, program: Program) -> Roles:
    """What is stated, if it can be.

    Raises:
        UsageError: the shapes do not agree.
    """
    if not _fits(stated):
        told = ", ".join(f"{role}: {tensor.name} {list(tensor.shape)}" for role, tensor in stated.items())
        raise UsageError(
            f"{program.place}: detector.io.outputs gives {told}; boxes are [1, n, 4] and scores and classes [1, n]"
        )
    return stated


def stated_outputs(program: Program, stated: Mapping[Role, str], signature: str | None) -> Roles:
    """The outputs of these names, of tensors or in the signature.

    Raises:
        UsageError: one is not there.
    """
    names = {tensor.name: tensor for tensor in program.outputs}
    indices = {tensor.index: tensor for tensor in program.outputs}
    names |= {name: indices[index] for name, index in _signature(program, signature).items() if index in indices}
    for role, name in stated.items():
        if name not in names:
            raise UsageError(
                f"detector.io.outputs: {role} is {name}, but {program.place} has {', '.join(sorted(names))}"
            )
    return {role: names[name] for role, name in stated.items()}


def _readings(
    program: Program,
    data: bytes,
    described: tuple[str, ...],
    named: Mapping[str, int],
    order: tuple[Role, ...],
) -> Iterator[dict[Role, int]]:
    made = postprocess_outputs(data)
    if made is not None:
        yield dict(zip(_OF_POSTPROCESS, made, strict=True))
    if len(described) == len(program.outputs):
        pairs = zip(described, program.outputs, strict=True)
        yield {_BY_NAME[name.lower()]: tensor.index for name, tensor in pairs if name.lower() in _BY_NAME}
    yield {_BY_NAME[name]: index for name, index in named.items() if name in _BY_NAME}
    yield {_BY_NAME[tensor.name]: tensor.index for tensor in program.outputs if tensor.name in _BY_NAME}
    yield {role: named.get(f"output_{number}", -1) for number, role in enumerate(order)}
    numbered: dict[str, dict[int, int]] = {}
    for tensor in program.outputs:
        name, _, number = tensor.name.rpartition(":")
        name, place = (name, int(number)) if number.isdecimal() else (tensor.name, 0)
        numbered.setdefault(name, {})[place] = tensor.index
    for name, numbers in numbered.items():
        own = _OF_POSTPROCESS if name == POSTPROCESS.decode() else order
        yield {role: numbers.get(number, -1) for number, role in enumerate(own)}


def postprocess_outputs(data: bytes) -> tuple[int, int, int, int] | None:
    """The tensors that TFLite's own post-processing makes, in its order; None: the model has none.

    ``data`` is a file that LiteRT has verified.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(number).CustomCode() for number in range(model.OperatorCodesLength())]
    if POSTPROCESS not in codes:
        return None
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        if codes[operator.OpcodeIndex()] == POSTPROCESS and operator.OutputsLength() == len(_OF_POSTPROCESS):
            boxes, classes, scores, count = (operator.Outputs(place) for place in range(len(_OF_POSTPROCESS)))
            return boxes, classes, scores, count
    return None


def _signature(program: Program, name: str | None) -> Mapping[str, int]:
    """The outputs of a signature by name.

    Raises:
        UsageError: the model has no signature of that name.
    """
    signatures = program.signatures
    if name is not None and name not in signatures:
        there = ", ".join(signatures) or "none"
        raise UsageError(f"detector.io.signature is {name}, but {program.place} has {there}")
    return signatures[name] if name is not None else next(iter(signatures.values()), {})


def _is_boxes(tensor: Tensor) -> bool:
    return len(tensor.shape) == 3 and tensor.shape[2] == 4


def _fits(roles: Roles) -> bool:
    if not {"boxes", "scores", "classes"} <= set(roles) or not _is_boxes(roles["boxes"]):
        return False
    shape = roles["boxes"].shape[:2]
    is_whole = roles["scores"].shape == roles["classes"].shape == shape
    is_whole = is_whole and len({tensor.index for tensor in roles.values()}) == len(roles)
    return is_whole and ("count" not in roles or np.prod(roles["count"].shape) == shape[0])


def _by_values(program: Program, probe: Callable[[], Mapping[int, Floats32]]) -> Roles | None:
    boxes = next(tensor for tensor in program.outputs if _is_boxes(tensor))
    rows = [tensor for tensor in program.outputs if tensor.shape == boxes.shape[:2] and tensor is not boxes]
    count = [tensor for tensor in program.outputs if tensor not in (boxes, *rows) and np.prod(tensor.shape) == 1]
    if len(rows) != 2:
        return None
    values = probe()
    whole = [bool((values[tensor.index] == np.rint(values[tensor.index])).all()) for tensor in rows]
    if whole[0] == whole[1]:
        names = " and ".join(tensor.name for tensor in rows)
        raise UsageError(
            f"{program.place}: which of {names} are scores and which classes nothing tells; set detector.io.outputs"
            " to {boxes: ..., scores: ..., classes: ...}"
        )
    roles: Roles = {"boxes": boxes, "classes": rows[whole.index(True)], "scores": rows[whole.index(False)]}
    return roles | ({"count": count[0]} if count else {})

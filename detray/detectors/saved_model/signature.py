"""The signature of a SavedModel: the tensors that go in and come out, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detray.detectors.io import InputKind
from detray.detectors.saved_model.package import GRAPH, Package
from detray.detectors.saved_model.scan import called, ops_of
from detray.errors import UsageError

TYPES = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 6: "int8", 7: "string", 9: "int64", 19: "float16"}
"""Numbers of tensorflow/core/framework/types.proto."""
_NUMBERS: Mapping[str, InputKind] = {
    "uint8": "uint8", "int8": "int8", "int32": "int32", "float32": "float32", "float16": "float16"
}  # fmt: skip
_PARSING = frozenset(
    ("ParseExample", "ParseExampleV2", "ParseSingleExample", "ParseSequenceExample", "ParseSequenceExampleV2")
)


@dataclass(frozen=True)
class Port:
    """A tensor of a signature. ``shape``: None where a side is not known; None as a whole: nor is the rank."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        sides = "?" if self.shape is None else ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} {self.dtype} [{sides}]"

    def fits(self, *shape: int | None) -> bool:
        """Whether it may have this shape; None fits any side."""
        if self.shape is None:
            return True
        pairs = zip(self.shape, shape, strict=False)
        return len(self.shape) == len(shape) and all(None in pair or pair[0] == pair[1] for pair in pairs)


@dataclass(frozen=True)
class Signature:
    """``input``: the one tensor that goes in; ``kind``: what it holds."""

    name: str
    input: Port
    kind: InputKind
    outputs: Mapping[str, Port]

    @property
    def sides(self) -> tuple[int | None, ...]:
        """Batch, height, width and channels of the input; of strings there is only the batch."""
        if self.input.shape is None:
            return (None,) * 4
        return self.input.shape if len(self.input.shape) == 4 else (*self.input.shape, None, None, None)[:4]


def read_signature(package: Package, stated: str | None) -> Signature:
    """The signature that detects: the one that is stated, else serving_default, else the only one.

    Raises:
        UsageError: there is none, or it takes something else than pictures.
    """
    there = {entry.key: entry.value for entry in package.graph.signatures if not entry.key.startswith("__")}
    names = ", ".join(sorted(there)) or "none"
    place = f"{package.path}/{GRAPH}"
    if stated is not None and stated not in there:
        raise UsageError(f"{place}: detector.io.signature is {stated}, but its signatures are {names}")
    name = stated or ("serving_default" if "serving_default" in there else None)
    if name is None:
        if len(there) != 1:
            raise UsageError(
                f"{place}: its signatures are {names}; "
                + ("set detector.io.signature to the one that detects" if there else "export it with one that detects")
            )
        name = next(iter(there))
    inputs = [_port(entry) for entry in there[name].inputs]
    outputs = {entry.key: _port(entry) for entry in sorted(there[name].outputs, key=lambda entry: entry.key)}
    if len(inputs) != 1:
        takes = ", ".join(map(str, inputs)) or "nothing"
        raise UsageError(f"{place}: its signature {name} takes {takes}, but a detector takes pictures and nothing else")
    return Signature(name, inputs[0], _kind(package, name, there[name], inputs[0]), outputs)


def _kind(package: Package, name: str, signature: Any, port: Port) -> InputKind:
    place = f"{package.path}/{GRAPH}: its signature {name} takes {port}"
    if port.dtype == "string" and (port.shape is None or len(port.shape) <= 1):
        nodes = {node.name: node for node in package.graph.graph.nodes}
        ends = [nodes[end] for entry in signature.outputs if (end := entry.value.name.partition(":")[0]) in nodes]
        ops = {op for node in ends for function in called(node) for op in ops_of(package.graph, function)}
        ops = ops or ops_of(package.graph, "")
        return "example" if ops & _PARSING else "picture"
    if port.dtype not in _NUMBERS:
        raise UsageError(f"{place}, which is no type that pictures have")
    is_channels_first = port.shape is not None and port.shape[1:2] == (3,) and port.shape[-1] != 3
    if is_channels_first or not port.fits(None, None, None, 3):
        raise UsageError(f"{place}; detray gives pictures as [batch, height, width, 3]")
    return _NUMBERS[port.dtype]


def _port(entry: Any) -> Port:
    shape = entry.value.shape
    sides = tuple(side.size if side.size >= 0 else None for side in shape.sides)
    dtype = TYPES.get(entry.value.dtype, f"type {entry.value.dtype}")
    return Port(entry.key, dtype, None if shape.unknown_rank else sides)

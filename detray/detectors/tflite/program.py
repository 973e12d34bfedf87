"""A TFLite file as numbers in, numbers out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Floats32
from detray.detectors.archive import MAX_UNPACKED
from detray.detectors.runtime import THREADS, greeting_dropped
from detray.errors import DetrayError, UsageError
from detray.extras import require

_NEEDS = {
    "edgetpu": "it is compiled for an Edge TPU; name the file that it was compiled from",
    "Flex": "it calls TensorFlow, which LiteRT does not hold; convert it with built-in operations alone, or name the"
    " SavedModel",
}
"""What to do, by what stands in LiteRT's message."""


@dataclass(frozen=True)
class Tensor:
    """An input or output: real values are (numbers - ``zero_point``) * ``scale``; ``scale`` is 0 for floats."""

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: Any
    scale: float
    zero_point: int

    @staticmethod
    def of(details: Mapping[str, Any]) -> "Tensor":
        scale, zero_point = details["quantization"]
        shape = tuple(int(side) for side in details["shape"])
        dtype = np.dtype(details["dtype"])
        return Tensor(str(details["name"]), int(details["index"]), shape, dtype, float(scale), int(zero_point))


class Program:
    """The first subgraph of a TFLite file. It does not pickle. Threads may share it: an interpreter, which runs on one
    thread, is for one call at a time, and there are as many as calls that run at once."""

    def __init__(self, data: bytes, place: str) -> None:
        """The file's content; ``place`` names it.

        LiteRT verifies the file against its schema before anything of it is used; a TFLite file cannot name other
        files, and operations that it brings itself are not loaded.

        Raises:
            UsageError: it is damaged, or needs what LiteRT lacks, or that is not installed.
        """
        require({place: ["ai_edge_litert"]})
        self.place, self._data = place, data
        if data[4:8] != b"TFL3":
            raise UsageError(f"{place}: no TFLite file; detector.path names one")
        try:
            interpreter = self._made()
            self.inputs = tuple(map(Tensor.of, interpreter.get_input_details()))
            self.outputs = tuple(map(Tensor.of, interpreter.get_output_details()))
            self.signatures = _signatures(interpreter)
        except (ValueError, RuntimeError) as error:  # names that are no UTF-8 among them
            raise UsageError(self._refusal(error)) from None
        self._idle = [interpreter]

    def _made(self) -> Any:
        with greeting_dropped():
            from ai_edge_litert.interpreter import Interpreter

            made = Interpreter(model_content=self._data, num_threads=THREADS)
            _require_bounded(made, self.place)
            made.allocate_tensors()
        return made

    def _taken(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._made()

    def run(self, values: NDArray) -> dict[int, Floats32]:
        """What comes out for ``values``, of the input's shape and type: real numbers by index of the output.

        Raises:
            DetrayError: the model fails.
        """
        try:
            interpreter = self._taken()
            interpreter.set_tensor(self.inputs[0].index, values)
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise DetrayError(self._refusal(error)) from None
        found = {tensor.index: _real(interpreter, tensor) for tensor in self.outputs}
        self._idle.append(interpreter)
        return found

    def _refusal(self, error: Exception) -> str:
        text = str(error)
        line = next(iter(text.strip().splitlines()), type(error).__name__)[:200]
        mend = next((mend for word, mend in _NEEDS.items() if word in text), "convert it anew")
        return f"{self.place}: LiteRT does not run it ({line}); {mend}"


def _signatures(interpreter: Any) -> dict[str, dict[str, int]]:
    """By the name of each signature: which tensor each output's name stands for, by index."""
    runners = {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}
    return {
        name: {output: int(details["index"]) for output, details in runner.get_output_details().items()}
        for name, runner in runners.items()
    }


def _real(interpreter: Any, tensor: Tensor) -> Floats32:
    values = interpreter.get_tensor(tensor.index).astype(np.float32)
    return (values - tensor.zero_point) * np.float32(tensor.scale) if tensor.scale else values


def _require_bounded(interpreter: Any, place: str) -> None:
    """Refuse tensors that would fill the memory, before they are made."""
    for details in interpreter.get_tensor_details():
        size = math.prod(abs(int(side)) for side in details["shape"]) * np.dtype(details["dtype"]).itemsize
        if size > MAX_UNPACKED:
            raise UsageError(
                f"{place}: holds a tensor of {size / (1 << 30):,.1f} GiB, and {MAX_UNPACKED >> 30} GiB is the most"
                " that is made"
            )

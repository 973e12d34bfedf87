"""The detector of a TFLite file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from detray.ahead import ahead
from detray.arrays import Bytes, Floats32, Pixels
from detray.detectors.answers import Answer, detections
from detray.detectors.detector import Detections, Prepare, Prepared
from detray.detectors.io import IoSettings, Layout
from detray.detectors.model_file import read_model, version_of
from detray.detectors.ranges import RANGES, Scaling
from detray.detectors.runtime import threads_at_hand
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.detectors.tflite.layout import TfliteModel
from detray.detectors.tflite.program import Tensor

WHAT = "a .tflite file"


@dataclass(frozen=True)
class TfliteDetector:
    """Detects with a TFLite file, in batches of the size that it was converted with."""

    model: TfliteModel
    predict: PredictSettings
    layout: Layout

    @property
    def classes(self) -> Mapping[int, str]:
        return self.model.classes

    @cached_property
    def _values(self) -> "Values":
        stated, name = self.model.scaling, self.layout.input_range
        scaling = stated if stated is not None and stated.name == name else RANGES[name]
        return Values(self.model.input, scaling, self.model.channels_first)

    def prepare(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[h, w, 3]`` in the size of the input."""
        return self.model.prepares(self.layout)(picture)

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        """The detections in any number of pictures, as many batches at once as there are threads."""
        size = self.model.input.shape[0]
        batches = [pictures[start : start + size] for start in range(0, len(pictures), size)]
        at_once = min(threads_at_hand(), len(batches))
        each = (
            ahead(self._answers, batches, threads=at_once, depth=at_once)
            if at_once > 1
            else map(self._answers, batches)
        )
        answers = list(chain.from_iterable(each))
        if self.layout.class_base and not self.layout.suppresses:  # the places of scores count from 0
            answers = [replace(answer, classes=answer.classes + self.layout.class_base) for answer in answers]
        return detections(answers, pictures, self.layout, self.predict)

    def _answers(self, pictures: Sequence[Prepared]) -> list[Answer]:
        """Of a batch, which is filled up."""
        size = self.model.input.shape[0]
        full = np.zeros((size, *pictures[0].pixels.shape), np.uint8)
        np.stack([picture.pixels for picture in pictures], out=full[: len(pictures)])
        found = self.model.program.run(self._values(full))
        return [
            self.model.family.answer(
                {index: _row(values, number, size) for index, values in found.items()}, self.predict
            )
            for number in range(len(pictures))
        ]


def _row(values: Floats32, number: int, size: int) -> Floats32:
    """A picture's part of an output, whose first axis is the batch."""
    return values[number] if values.ndim and values.shape[0] == size else values


class Values:
    """From pixels to the numbers that the input takes: quantised ones from a table of the 256 levels."""

    def __init__(self, tensor: Tensor, scaling: Scaling, channels_first: bool) -> None:
        self._scaling, self._channels_first = scaling, channels_first
        self._table: NDArray | None = None
        if tensor.dtype.kind != "f":
            limits = np.iinfo(tensor.dtype)
            real = scaling(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)).astype(np.float64)
            steps = np.rint(real / (tensor.scale or 1)) + tensor.zero_point
            self._table = np.clip(steps, limits.min, limits.max).astype(tensor.dtype)

    def __call__(self, pixels: Bytes) -> NDArray:
        """uint8 ``[b, h, w, 3]`` as the input's shape and type."""
        if self._table is None:
            values: NDArray = self._scaling(pixels)
        else:
            ordered = pixels[..., ::-1] if self._scaling.bgr else pixels
            values = np.stack([self._table[:, channel][ordered[..., channel]] for channel in range(3)], axis=-1)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2)) if self._channels_first else values


def load_tflite(
    detector: DetectorSettings, path: str, predict: PredictSettings, *, trust_model: bool = False
) -> TfliteDetector:
    """The detector in the file ``path``.

    ``trust_model`` changes nothing: LiteRT verifies the file, and no operation of it reads files or the network.

    Raises:
        DetrayError: there is no such file, or it does not run.
        UsageError: it does not say what is needed.
    """
    model = _read(detector, path)
    return TfliteDetector(model, predict, model.layout)


def check_tflite(detector: DetectorSettings, path: str, *, trust_model: bool) -> None:
    """Refuse what `load_tflite` would.

    Raises:
        DetrayError, UsageError: as there.
        AmbiguousError: it may be read in several ways.
    """
    read_tflite_layout(detector, path)


def read_tflite_classes(detector: DetectorSettings, path: str) -> dict[int, str]:
    """Names by id, as the file's metadata give them; empty where they do not."""
    return dict(_read(detector, path).classes)


def read_tflite_prepare(detector: DetectorSettings, path: str) -> Prepare:
    """How it takes its pictures."""
    model = _read(detector, path)
    return model.prepares(model.layout)


def read_tflite_layout(detector: DetectorSettings, path: str) -> Layout:
    """What it takes and gives."""
    return _read(detector, path).layout


def _read(detector: DetectorSettings, path: str) -> TfliteModel:
    return _opened(path, version_of(path), msgspec.json.encode(detector.io))


@lru_cache(maxsize=1)
def _opened(path: str, version: tuple[int, int], io: bytes) -> TfliteModel:
    """Kept: a stage asks for classes, layout and detector one after the other, and a trial may be a part of each."""
    return TfliteModel(read_model(path, WHAT), path, msgspec.json.decode(io, type=IoSettings))

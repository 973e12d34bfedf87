"""The values that models take for pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from detray.arrays import Bytes, Floats32
from detray.detectors.io import InputRange

Channels = tuple[float, float, float]
MEAN: Channels = (123.68, 116.779, 103.939)
"""Of ImageNet's red, green and blue, 0 to 255, as VGG subtracts it (``keras.applications``, mode caffe)."""
TORCH_MEAN: Channels = (0.485, 0.456, 0.406)
TORCH_DEVIATION: Channels = (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, 0 to 1 (torchvision; ``keras.applications``, mode torch)."""


@dataclass(frozen=True)
class Scaling:
    """Values are pixels times ``scale`` plus ``offset``, by channel red, green, blue; then BGR if ``bgr``."""

    scale: Channels
    offset: Channels
    bgr: bool = False

    def __call__(self, pixels: Bytes) -> Floats32:
        """uint8 ``[..., 3]``, RGB, as float32 of the same shape."""
        values = pixels.astype(np.float32)
        if self.scale != (1, 1, 1):
            values *= _by_channel(self.scale)
        if any(self.offset):
            values += _by_channel(self.offset)
        return np.ascontiguousarray(values[..., ::-1]) if self.bgr else values

    @property
    def name(self) -> InputRange | Literal["own"]:
        """The range that gives nearly these values, within two levels of 255; own: none does."""
        for name in get_args(InputRange):
            known = RANGES[name]
            ends = zip((*self.ends(0), *self.ends(255)), (*known.ends(0), *known.ends(255)), strict=True)
            if self.bgr == known.bgr and all(abs(a - b) <= 2 * max(known.scale) for a, b in ends):
                return cast(InputRange, name)
        return "own"

    def ends(self, pixel: float) -> Channels:
        """What a pixel of this value becomes, by channel."""
        red, green, blue = (pixel * scale + offset for scale, offset in zip(self.scale, self.offset, strict=True))
        return red, green, blue

    @staticmethod
    def normalising(mean: Channels, deviation: Channels) -> "Scaling":
        """Pixels less ``mean``, over ``deviation``."""
        red, green, blue = (1 / value for value in deviation)
        return Scaling((red, green, blue), (-mean[0] * red, -mean[1] * green, -mean[2] * blue))


def _by_channel(values: Channels) -> Floats32 | np.float32:
    """One number where all are the same: arithmetic with one is several times as fast."""
    return np.float32(values[0]) if len(set(values)) == 1 else np.array(values, np.float32)


RANGES: Mapping[str, Scaling] = {
    "0..255": Scaling((1, 1, 1), (0, 0, 0)),
    "0..1": Scaling((1 / 255,) * 3, (0, 0, 0)),
    "-1..1": Scaling((1 / 127.5,) * 3, (-1, -1, -1)),
    "caffe": Scaling((1, 1, 1), (-MEAN[0], -MEAN[1], -MEAN[2]), bgr=True),
    "vgg": Scaling((1, 1, 1), (-MEAN[0], -MEAN[1], -MEAN[2])),
    "torch": Scaling.normalising(
        (TORCH_MEAN[0] * 255, TORCH_MEAN[1] * 255, TORCH_MEAN[2] * 255),
        (TORCH_DEVIATION[0] * 255, TORCH_DEVIATION[1] * 255, TORCH_DEVIATION[2] * 255),
    ),
}
"""By the value of ``detector.io.input_range``."""

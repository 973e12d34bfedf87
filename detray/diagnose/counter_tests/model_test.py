"""Counter-tests that run the detector again, with another setting or on changed pictures, on a sample of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detray.arrays import Floats, Pixels
from detray.detectors.settings import PredictSettings
from detray.diagnose.counter_tests.counter_test import Claim


@dataclass(frozen=True)
class Light:
    """Grey levels of some pictures, 0 to 255: the mean over them and over their pixels, and the standard deviation."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Relit:
    """Pictures of one split, as bright and as rich in contrast as those of another."""

    here: Light
    there: Light

    def __call__(self, picture: Pixels) -> Pixels:
        """An RGB picture ``[h, w, 3]``, each level moved in the same way."""
        levels: Floats = np.arange(256.0)
        scale = self.there.deviation / max(self.here.deviation, 1.0)
        moved = (levels - self.here.mean) * scale + self.there.mean
        return np.asarray(np.clip(np.rint(moved), 0, 255).astype(np.uint8)[picture])


@dataclass(frozen=True)
class Padded:
    """Pictures on a canvas ``times`` as wide and high, at its top left: what is seen of them is smaller."""

    times: float

    def __call__(self, picture: Pixels) -> Pixels:
        """An RGB picture ``[h, w, 3]``; boxes in it stay where they are."""
        height, width = picture.shape[:2]
        full = np.full((round(height * self.times), round(width * self.times), 3), 114, np.uint8)
        full[:height, :width] = picture
        return full


@dataclass(frozen=True)
class Again:
    """How the detector is run again.

    Attributes:
        predict: its settings.
        words: what is other than before, as sentences say it.
        change: what is done to each picture; None: nothing.
    """

    predict: PredictSettings
    words: str
    change: Relit | Padded | None = None


@dataclass(frozen=True)
class Before:
    """How the detector was run, and what is known of the pictures.

    Attributes:
        predict: its settings.
        name: of the class that is tested.
        width, height: medians of the pictures, px; 0: not known.
        light: of the pictures; None: not known.
        light_in_training: the same of the training split.
    """

    predict: PredictSettings
    name: str
    width: int = 0
    height: int = 0
    light: Light | None = None
    light_in_training: Light | None = None


class ModelTest(ABC):
    """The remedy of a cause, as another run of the detector on a sample of the pictures.

    Its docstring is what ``docs/causes.md`` says of it.
    """

    cause: ClassVar[str]
    needs_light: ClassVar[bool] = False
    refutes: ClassVar[bool] = False
    """AP that rises speaks against the cause: another one is what was tried."""
    denies: ClassVar[bool] = True
    """AP that stays as it was speaks against the cause; not where the model would have to learn the remedy."""
    measures: ClassVar[bool] = False
    """It tries the whole remedy, a setting of predict: AP gained is AP regained. It is run without being asked for."""

    @abstractmethod
    def again(self, claim: Claim, before: Before) -> Again | str:
        """How to run the detector, or why that tells nothing."""


LOW = 0.01
"""Scores down to which detections are written so that AP has its whole curve."""


def cuts(predict: PredictSettings) -> bool:
    """Whether the settings leave out detections of which AP could be made: scores above `LOW`, or fewer an image than
    the evaluation takes by default."""
    return max(predict.score_threshold, *predict.score_thresholds.values(), LOW) > LOW or (
        predict.max_detections < PredictSettings().max_detections
    )


def without(values: Mapping[str, float], name: str) -> dict[str, float]:
    """The mapping without one key."""
    return {key: value for key, value in values.items() if key != name}
